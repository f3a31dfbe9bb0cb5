# Marginal means, slopes and contrasts of an unbalanced design by emmeans 1.8.4.1, lmerTest 3.1-3, pbkrtest 0.5-2 under
# R 4.2.2; writes marginal_means.json.gz, which tests/unit/test_means_reference.py compares. Rscript marginal_means.R
suppressMessages({library(lmerTest); library(emmeans); library(jsonlite)})
set.seed(20)
n <- 90
d <- data.frame(g = factor(sample(1:12, n, TRUE)), A = factor(sample(c("a", "b", "c"), n, TRUE, c(.5, .3, .2))),
                B = factor(sample(c("u", "v"), n, TRUE, c(.7, .3))), x = round(runif(n, 1, 9), 2),
                z = round(rnorm(n, 50, 8), 1), o = round(runif(n, -2, 4), 2))
d$y <- round(3 + as.integer(d$A) + 0.4 * d$x * (d$B == "v") - 0.03 * d$x^2 + 0.05 * d$z + d$o + 1.5 * rnorm(12)[d$g] +
             rnorm(n), 3)
d$w <- round(runif(n, .3, 3), 2)
e <- subset(d, !(A == "c" & B == "v"))

control <- lmerControl(optCtrl = list(ftol_abs = 1e-14, xtol_abs = 1e-12, maxeval = 1e5))
fits <- list(
  curve = lmer(y ~ A*B + poly(x, 2) + z + (1 | g), d, control = control),
  lines = lmer(y ~ A*x + B + log(z) + I(x^2) + (1 | g), d, control = control),
  empty = lmer(y ~ A*B + x + (1 | g), e, control = control),
  additive = lmer(y ~ A + B + x + (1 | g), e, control = control),
  offset = lmer(y ~ A + x + offset(o) + (1 | g), d, control = control),
  weights = lmer(y ~ A*B + x + (1 | g), d, weights = w, control = control))

found <- list()
add <- function(fit, ask, table) {
  s <- as.list(as.data.frame(summary(table, infer = c(TRUE, TRUE))))
  s <- s[!(names(s) %in% c("null"))]
  found[[length(found) + 1]] <<- list(fit = fit, ask = ask, result = s)
}
for (m in c("satterthwaite", "kenward-roger")) {
  E <- function(f, ...) suppressMessages(emmeans(fits[[f]], ..., lmer.df = m))
  # emtrends takes one-sided differences: a short step
  S <- function(f, ...) suppressMessages(emtrends(fits[[f]], ..., delta.var = 1e-5, lmer.df = m))
  p <- function(...) list(ddf = unbox(m), ...)
  u <- unbox
  add("curve", p(specs = "A"), E("curve", "A"))
  add("curve", p(specs = "A", weights = u("proportional")), E("curve", "A", weights = "proportional"))
  add("curve", p(specs = "B", weights = u("proportional")), E("curve", "B", weights = "proportional"))
  add("curve", p(specs = list(), weights = u("proportional")), E("curve", ~ 1, weights = "proportional"))
  add("curve", p(specs = "A", by = u("B")), E("curve", "A", by = "B"))
  add("curve", p(specs = "A", at = list(x = c(2, 8), z = 40)), E("curve", "A", at = list(x = c(2, 8), z = 40)))
  add("curve", p(specs = c("A", "x"), at = list(x = c(2, 8))), E("curve", c("A", "x"), at = list(x = c(2, 8))))
  for (a in c("tukey", "holm", "bonferroni", "sidak", "none")) {
    add("curve", p(specs = "A", by = u("B"), method = u("pairwise"), adjust = u(a)),
        contrast(E("curve", "A", by = "B"), "pairwise", adjust = a))
    if (a != "tukey") for (k in c("eff", "consec", "trt.vs.ctrl", "poly"))
      add("curve", p(specs = c("A", "B"), method = u(k), adjust = u(a)),
          contrast(E("curve", c("A", "B")), k, adjust = a))
  }
  add("curve", p(specs = c("A", "B"), method = u("pairwise"), adjust = u("tukey")),
      contrast(E("curve", c("A", "B")), "pairwise", adjust = "tukey"))
  add("curve", p(specs = "A", method = list(k = c(.5, .5, -1), s = c(1, 1, 0)), adjust = u("none")),
      contrast(E("curve", "A"), list(k = c(.5, .5, -1), s = c(1, 1, 0))))
  add("curve", p(specs = "A", trend = u("x")), S("curve", "A", var = "x"))
  add("curve", p(specs = list(), trend = u("x"), at = list(x = 2)), S("curve", ~ 1, var = "x", at = list(x = 2)))
  add("lines", p(specs = "A", weights = u("proportional")), E("lines", "A", weights = "proportional"))
  add("lines", p(specs = "A", trend = u("x")), S("lines", "A", var = "x"))
  add("lines", p(specs = "A", trend = u("x"), method = u("pairwise"), adjust = u("tukey")),
      contrast(S("lines", "A", var = "x"), "pairwise"))
  add("lines", p(specs = list(), trend = u("z")), S("lines", ~ 1, var = "z"))
  add("empty", p(specs = "A"), E("empty", "A"))
  add("empty", p(specs = c("A", "B")), E("empty", c("A", "B")))
  add("empty", p(specs = "A", weights = u("proportional")), E("empty", "A", weights = "proportional"))
  add("empty", p(specs = "A", by = u("B"), method = u("pairwise"), adjust = u("none")),
      contrast(E("empty", "A", by = "B"), "pairwise", adjust = "none"))
  add("additive", p(specs = c("A", "B")), E("additive", c("A", "B")))
  add("additive", p(specs = "A", at = list(B = "u"), weights = u("proportional")),
      E("additive", "A", at = list(B = "u"), weights = "proportional"))
  add("offset", p(specs = "A"), E("offset", "A"))
  add("offset", p(specs = "A", method = u("pairwise"), adjust = u("tukey")), contrast(E("offset", "A"), "pairwise"))
  # pbkrtest 0.5-2 leaves weights out of its adjustment
  if (m == "satterthwaite") add("weights", p(specs = "A", weights = u("proportional")),
                                E("weights", "A", weights = "proportional"))
}
formulas <- sapply(fits, function(f) sub(" +", " ", paste(deparse(formula(f), width.cutoff = 200), collapse = " ")))
out <- gzfile("marginal_means.json.gz", "w")
write_json(list(data = d, formulas = as.list(formulas), criteria = lapply(fits, REMLcrit), tables = found), out,
           digits = NA, dataframe = "columns", na = "null", null = "null")
close(out)

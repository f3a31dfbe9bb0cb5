# Power by simulation with lme4 and lmerTest, after simr's idea (Green & MacLeod 2016): draw from stated parameters,
# refit, count rejections. sleepstudy's design, its first 6, 12 and 18 subjects, slope 5 ms/day, Satterthwaite's t.
# Rscript power.R power.json
suppressMessages({library(lme4); library(lmerTest); library(jsonlite)})
data("sleepstudy", package = "lme4")
set.seed(20160329)
n <- 1000
study <- function(subjects) {
  old <- levels(sleepstudy$Subject)
  d <- do.call(rbind, lapply(seq_len(subjects), function(k) {
    rows <- sleepstudy[sleepstudy$Subject == old[(k - 1) %% length(old) + 1], ]
    rows$Subject <- k
    rows
  }))
  d$Subject <- factor(d$Subject)
  d
}
T <- matrix(c(24^2, 0.1 * 24 * 6, 0.1 * 24 * 6, 36), 2)
L <- t(chol(T))
one <- function(subjects) {
  d <- study(subjects)
  p <- singular <- numeric(n)
  b <- function() t(L %*% matrix(rnorm(2 * subjects), 2))
  for (i in seq_len(n)) {
    u <- b()
    d$Reaction <- 250 + 5 * d$Days + u[d$Subject, 1] + u[d$Subject, 2] * d$Days + 25 * rnorm(nrow(d))
    fit <- suppressMessages(suppressWarnings(lmerTest::lmer(Reaction ~ Days + (Days | Subject), d)))
    p[i] <- coef(summary(fit))["Days", "Pr(>|t|)"]
    singular[i] <- isSingular(fit)
  }
  list(subjects = subjects, n = n, rejected = sum(p <= 0.05), singular = sum(singular))
}
out <- list(versions = list(R = as.character(getRversion()), lme4 = as.character(packageVersion("lme4")),
                            lmerTest = as.character(packageVersion("lmerTest"))),
            studies = lapply(c(6, 12, 18), one))
write_json(out, commandArgs(TRUE)[1], auto_unbox = TRUE, pretty = TRUE, digits = NA)

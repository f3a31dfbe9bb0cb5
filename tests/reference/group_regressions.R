# Regressions within groups by nlme 3.1-162 (lmList) and coefficients by group by lme4 1.1-31 (coef) under R 4.2.2;
# writes group_regressions.json.gz, which tests/unit/test_groupwise_reference.py compares. Rscript group_regressions.R
suppressMessages({library(nlme); library(lme4); library(jsonlite)})
lists <- function(m) {
  s <- coef(summary(m))                                # level, statistic, coefficient
  own <- summary(m, pool = FALSE)
  i <- intervals(m, level = 0.9)
  list(levels = dimnames(s)[[1]], names = dimnames(s)[[3]], estimate = unname(s[, "Estimate", ]),
       std_error = unname(s[, "Std. Error", ]), own_error = unname(coef(own)[, "Std. Error", ]),
       low90 = unname(i[, "lower", ]), high90 = unname(i[, "upper", ]),
       sigma = c(pooledSD(m)), df = attr(pooledSD(m), "df"), own_sigma = unname(own$sigma))
}
# nlme's intervals need one residual variance: with own ones, confint of each group's lm
own_intervals <- function(m) t(sapply(m, function(l) c(t(confint(l, level = 0.9)))))
control <- lmerControl(optCtrl = list(ftol_abs = 1e-14, xtol_abs = 1e-12, maxeval = 1e5))
coefs <- function(m) list(theta = getME(m, "theta"), coef = lapply(coef(m), function(d)
  list(levels = rownames(d), names = names(d), values = unname(as.matrix(d)))))
orthodont <- nlme::lmList(distance ~ age | Subject, Orthodont)
sleep <- lmer(Reaction ~ Days + (Days | Subject), sleepstudy, control = control)
penicillin <- lmer(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin, control = control)
first <- lmer(MathAch ~ SES + (SES | School), as.data.frame(MathAchieve), control = control)
found <- list(
  versions = list(R = "4.2.2", nlme = as.character(packageVersion("nlme")), lme4 = as.character(packageVersion("lme4"))),
  lists = list(Orthodont = lists(orthodont), MathAchieve = lists(nlme::lmList(MathAch ~ SES | School, MathAchieve))),
  own = own_intervals(orthodont),
  coefs = list(sleepstudy = coefs(sleep), Penicillin = coefs(penicillin), MathAchieve = coefs(first)))
out <- gzfile("group_regressions.json.gz", "w")
writeLines(toJSON(found, digits = 12, auto_unbox = TRUE), out)
close(out)

# Standard errors of predictions at fixed covariance parameters, from glmmTMB: the witness of tests/unit/test_predict.py.
#
# With map= all of theta and the residual standard deviation stay where start= puts them, so that glmmTMB's joint
# precision of (beta, b) is the mixed model equations' matrix at these values and predict(se.fit = TRUE) has no part that
# comes from their estimation. By ML: given theta, means and errors are those of REML. Run: Rscript tests/reference/prediction_glmmtmb.R
suppressMessages({library(lme4); library(glmmTMB); library(jsonlite)})

at <- function(formula, data, theta, sigma, newdata) {
  fit <- glmmTMB(formula, data,
                 start = list(theta = theta, betad = 2 * log(sigma)),  # 1.1.5: of the variance
                 map = list(theta = factor(rep(NA, length(theta))), betad = factor(NA)))
  one <- predict(fit, newdata, se.fit = TRUE, allow.new.levels = TRUE)
  two <- predict(fit, newdata, se.fit = TRUE, re.form = NA)
  list(conditional = unname(one$fit), conditional_se = unname(one$se.fit),
       population = unname(two$fit), population_se = unname(two$se.fit))
}

sleep_new <- data.frame(Days = c(0, 4.5, 12), Subject = c("308", "335", "372"))
sleep <- at(Reaction ~ Days + (Days | Subject), sleepstudy,
            c(log(25), log(6), 0.1 / sqrt(1 - 0.1^2)), 25.5, sleep_new)
penicillin_new <- data.frame(plate = c("a", "m", "x"), sample = c("A", "C", "F"))
penicillin <- at(diameter ~ 1 + (1 | plate) + (1 | sample), Penicillin,
                 c(log(0.85), log(1.9)), 0.55, penicillin_new)

cat(toJSON(list(versions = list(R = as.character(getRversion()), glmmTMB = as.character(packageVersion("glmmTMB"))),
                sleepstudy = sleep, penicillin = penicillin), digits = 12, auto_unbox = TRUE, pretty = TRUE), "\n")

# One call of nlme in a process of its own: Rscript nlme.R "nlme::lme(...)" SECONDS
# prints "cpu ...", "wall ...", "criterion ..." and "version ..."; nothing else goes to standard output.
suppressMessages(library(nlme))
arguments <- commandArgs(TRUE)
call <- parse(text = arguments[1])[[1]]
seconds <- as.numeric(arguments[2])

# R's clock ticks in milliseconds: fast fits are timed in batches of about a tenth of a second.
once <- function() suppressMessages(suppressWarnings(eval(call)))
spent <- function(clock) clock[["user.self"]] + clock[["sys.self"]]
warm <- system.time(fit <- once())
batch <- max(1, ceiling(0.1 / max(warm[["elapsed"]], 0.005)))
cpu <- wall <- c()
while (length(wall) == 0 || (sum(wall) * batch < seconds && length(wall) < 40)) {
  clock <- system.time(for (i in seq_len(batch)) fit <- once())
  cpu <- c(cpu, spent(clock) / batch)
  wall <- c(wall, clock[["elapsed"]] / batch)
}
cat("cpu", format(cpu, digits = 6), "\n")
cat("wall", format(wall, digits = 6), "\n")
cat("criterion", format(-2 * as.numeric(logLik(fit)), digits = 15), "\n")
cat("version", as.character(packageVersion("nlme")), as.character(getRversion()), basename(extSoftVersion()[["BLAS"]]), "\n")

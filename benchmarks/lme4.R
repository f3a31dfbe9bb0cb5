# One case in lme4, in a process of its own: Rscript lme4.R CASE FORMULA FOLDER SECONDS
# prints "cpu ...", "wall ...", "theta ...", "peak_mb ..." and "version ..."; nothing else goes to standard output.
suppressMessages(library(lme4))
arguments <- commandArgs(TRUE)
formula <- as.formula(arguments[2])
seconds <- as.numeric(arguments[4])

columns <- list()
for (path in list.files(file.path(arguments[3], arguments[1]), full.names = TRUE)) {
  name <- sub("\\..*$", "", basename(path))
  whole <- grepl("int$", path)
  columns[[name]] <- readBin(path, if (whole) "integer" else "double", file.size(path) / (if (whole) 4 else 8))
}
frame <- as.data.frame(columns)

# R's clock ticks in milliseconds: fast fits are timed in batches of about a tenth of a second.
once <- function() suppressMessages(suppressWarnings(lmer(formula, frame)))
spent <- function(clock) clock[["user.self"]] + clock[["sys.self"]]
warm <- system.time(fit <- once())
batch <- max(1, ceiling(0.1 / max(warm[["elapsed"]], 0.005)))
cpu <- wall <- c()
while (warm[["elapsed"]] < 20 && (length(wall) == 0 || (sum(wall) * batch < seconds && length(wall) < 40))) {
  clock <- system.time(for (i in seq_len(batch)) fit <- once())
  cpu <- c(cpu, spent(clock) / batch)
  wall <- c(wall, clock[["elapsed"]] / batch)
}
if (length(wall) == 0) {
  cpu <- spent(warm)
  wall <- warm[["elapsed"]]
}
cat("cpu", format(cpu, digits = 6), "\n")
cat("wall", format(wall, digits = 6), "\n")
cat("theta", format(getME(fit, "theta"), digits = 15), "\n")
status <- tryCatch(grep("VmHWM", readLines("/proc/self/status"), value = TRUE), error = function(e) "0")
cat("peak_mb", as.numeric(gsub("[^0-9]", "", status)) / 1024, "\n")
versions <- c(as.character(packageVersion("lme4")), as.character(getRversion()))
cat("version", versions, basename(extSoftVersion()[["BLAS"]]), "\n")

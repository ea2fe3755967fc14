//! Logs: structured lines on stderr, as text or JSON. Nothing else writes there but errors and progress of the tools.

use std::fmt;
use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};
use ottla_env::time;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The flags of every verb.
#[derive(Debug, Args)]
pub(crate) struct LoggingArgs {
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value = "text", help_heading = "Logging")]
    log_format: LogFormat,
    /// Least level of log lines: error, warn, info, debug or trace; also per module, as info,ottla_broker=debug
    /// [default: info for the server, warn otherwise]
    #[arg(long, global = true, value_name = "LEVEL", help_heading = "Logging")]
    log_level: Option<String>,
}

/// Sets logging up, once per process.
///
/// # Errors
/// When the level is none.
pub(crate) fn start(args: &LoggingArgs, default_level: &str) -> anyhow::Result<()> {
    let level = args.log_level.as_deref().unwrap_or(default_level);
    let filter = EnvFilter::try_new(level).map_err(|e| {
        anyhow::anyhow!("`{level}` is no log level ({e}): error, warn, info, debug or trace is expected")
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_timer(Clock);
    match args.log_format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Time of day from the one door to the clock, as `2026-11-24T19:07:21.042Z`.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{}", Utc(time::wall_clock_ms()))
    }
}

/// Milliseconds since the Unix epoch, shown as UTC.
pub(crate) struct Utc(pub(crate) i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY_MS: i64 = 86_400_000;
        let (year, month, day) = date_of(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
    }
}

/// The civil date of a day counted from 1970-01-01, in the proleptic Gregorian calendar. Years are counted from March, so
/// that the leap day is the last of its year.
fn date_of(day: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    const DAYS_FROM_MARCH_0000_TO_1970: i64 = 719_468;
    let shifted = day + DAYS_FROM_MARCH_0000_TO_1970;
    let era = shifted.div_euclid(DAYS_OF_400_YEARS);
    let day_of_era = shifted.rem_euclid(DAYS_OF_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::Utc;

    #[test]
    fn time_is_shown_as_utc() {
        assert_eq!(Utc(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Utc(951_827_696_789).to_string(), "2000-02-29T12:34:56.789Z");
        assert_eq!(Utc(1_798_761_599_999).to_string(), "2026-12-31T23:59:59.999Z");
        assert_eq!(Utc(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }
}

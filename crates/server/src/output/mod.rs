//! What the tools show: results on stdout as a table, JSON or YAML; errors, questions and progress on stderr. Colours only
//! on a terminal, and not if `NO_COLOR` is set.

mod table;
mod yaml;

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

pub(crate) use table::Table;

/// How results look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// The flag of every verb that shows results.
#[derive(Debug, Clone, Args)]
pub(crate) struct OutputArgs {
    /// How results look
    #[arg(long = "output", short = 'o', value_enum, default_value = "table")]
    pub(crate) format: Format,
}

impl OutputArgs {
    /// Shows a result: as data, or as the tables that `tables` makes of it.
    ///
    /// # Errors
    /// When stdout is closed.
    pub(crate) fn show<T: Serialize>(&self, result: &T, tables: impl FnOnce() -> Vec<Table>) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        match self.format {
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(result)?)?,
            Format::Yaml => write!(out, "{}", yaml::to_string(&serde_json::to_value(result)?))?,
            Format::Table => {
                let colours = colours(&io::stdout());
                for (i, table) in tables().iter().enumerate() {
                    let gap = if i > 0 { "\n" } else { "" };
                    write!(out, "{gap}{}", table.render(colours))?;
                }
            }
        }
        Ok(out.flush()?)
    }

    /// Says in a sentence what was done, unless data is wanted.
    ///
    /// # Errors
    /// When stdout is closed.
    pub(crate) fn done<T: Serialize>(&self, result: &T, sentence: &str) -> anyhow::Result<()> {
        match self.format {
            Format::Table => Ok(writeln!(io::stdout().lock(), "{sentence}")?),
            Format::Json | Format::Yaml => self.show(result, Vec::new),
        }
    }
}

/// Whether a stream takes colours.
pub(crate) fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// Shows an error with its causes, and what to do next.
pub(crate) fn error(error: &anyhow::Error, hint: Option<&str>) {
    let (red, bold, plain) = if colours(&io::stderr()) { ("\x1b[31;1m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
    let mut text = format!("{red}error{plain}: {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            text.push_str(&format!(": {cause}"));
        }
        said = cause;
    }
    if let Some(hint) = hint {
        text.push_str(&format!("\n  {bold}hint{plain}: {hint}"));
    }
    // With stderr closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A remark beside the result.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Asks before something that cannot be undone, if there is somebody at a terminal; `yes` answers beforehand.
///
/// # Errors
/// When the answer is not yes.
pub(crate) fn confirm(question: &str, yes: bool) -> anyhow::Result<()> {
    if yes || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(());
    }
    write!(io::stderr().lock(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => anyhow::bail!("nothing was done"),
    }
}

/// A bar on stderr for the reading of so many bytes, with a message beside it; invisible when stderr is no terminal.
pub(crate) fn byte_bar(total: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    let template = "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} to go, {wide_msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// A size for people, such as `12.3 MiB`.
pub(crate) fn bytes_of(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        _ => indicatif::BinaryBytes(bytes).to_string(),
    }
}

/// A counter on stderr for work that takes long; invisible when stderr is no terminal or the work is on it.
pub(crate) fn counter(what: &'static str, visible: bool) -> ProgressBar {
    if !visible || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} {msg}, {per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

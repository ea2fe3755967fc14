//! Where a dump goes: Kafka's text, or one JSON object a line, each with the file that it speaks of.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::Path;

use clap::ValueEnum;
use serde_json::{Value, json};

/// How a dump looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Kafka's text.
    Text,
    /// One JSON object a line.
    Json,
}

/// See the module.
pub(super) struct Sink {
    form: Form,
    out: BufWriter<Stdout>,
    file: String,
}

impl Sink {
    pub(super) fn new(form: Form) -> Self {
        Self { form, out: BufWriter::with_capacity(64 << 10, io::stdout()), file: String::new() }
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// What follows is of this file.
    pub(super) fn begin_file(&mut self, path: &Path) -> anyhow::Result<()> {
        self.file = path.display().to_string();
        if self.form == Form::Text {
            writeln!(self.out, "Dumping {}", self.file)?;
        }
        Ok(())
    }

    /// A line that has no place in JSON.
    pub(super) fn heading(&mut self, text: &str) -> anyhow::Result<()> {
        if self.form == Form::Text {
            writeln!(self.out, "{text}")?;
        }
        Ok(())
    }

    /// A line, as text or as an object of this kind.
    pub(super) fn line(
        &mut self,
        kind: &str,
        text: impl FnOnce() -> String,
        object: impl FnOnce() -> Value,
    ) -> anyhow::Result<()> {
        match self.form {
            Form::Text => writeln!(self.out, "{}", text())?,
            Form::Json => {
                let mut object = object();
                if let Some(fields) = object.as_object_mut() {
                    fields.insert("kind".to_owned(), json!(kind));
                    fields.insert("file".to_owned(), json!(self.file));
                }
                writeln!(self.out, "{object}")?;
            }
        }
        Ok(())
    }

    /// Text, a record perhaps in several pieces.
    pub(super) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Something that Kafka says on stderr.
    pub(super) fn remark(&mut self, text: &str) -> anyhow::Result<()> {
        match self.form {
            Form::Text => {
                self.out.flush()?;
                writeln!(io::stderr().lock(), "{text}")?;
                Ok(())
            }
            Form::Json => self.line("remark", String::new, || json!({ "remark": text })),
        }
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }
}

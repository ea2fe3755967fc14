//! `ottla log dump`, as Kafka's DumpLogSegments (`kafka-dump-log`): the same flags, and the same lines on stdout and stderr.
//!
//! ```text
//!   .log, .checkpoint   batches     every batch, and its records if they are wanted  ── decoders ──> key: … payload: …
//!   .index, .timeindex  indexes     every entry, or whether it agrees with the .log
//!   .snapshot           producers
//!   .txnindex           indexes
//!                          └──> Sink: Kafka's text, or one JSON object a line
//! ```
//! As Kafka's, it ends with 0 though it found mismatches, and with 1 where it could not go on; `ottla log verify` judges.

mod batches;
mod complaints;
mod decoders;
mod indexes;
mod message_json;
mod metadata;
mod producers;
mod record;
mod remote_log;
mod sink;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use complaints::Complaints;
use decoders::Decoder;
use sink::{Form, Sink};

/// Print what files of a log hold: batches and records of .log and .checkpoint files, entries of .index, .timeindex and
/// .txnindex files, producers of .snapshot files
#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// Files to print, in this order
    #[arg(value_name = "FILE", required_unless_present = "files")]
    paths: Vec<PathBuf>,
    /// Files to print, as kafka-dump-log takes them
    #[arg(long, value_name = "FILE,...", value_delimiter = ',')]
    files: Vec<PathBuf>,
    /// Print keys and values of records; implied by every decoder
    #[arg(long)]
    print_data_log: bool,
    /// Go through the records of each batch, not only its head
    #[arg(long)]
    deep_iteration: bool,
    /// Print no more of a record than its key and value, and nothing of control records
    #[arg(long)]
    skip_record_metadata: bool,
    /// Read no more than this of each .log file
    #[arg(long, value_name = "BYTES", default_value_t = i32::MAX, value_parser = clap::value_parser!(i32).range(0..))]
    max_bytes: i32,
    /// Only check indexes as a broker does when it starts
    #[arg(long, help_heading = "Indexes")]
    index_sanity_check: bool,
    /// Only check that the entries of indexes agree with the .log file
    #[arg(long, help_heading = "Indexes")]
    verify_index_only: bool,
    /// Size of the largest batch that an index may point to
    #[arg(long, value_name = "BYTES", default_value_t = 5 << 20, value_parser = clap::value_parser!(i32).range(0..), help_heading = "Indexes")]
    max_message_size: i32,
    #[command(flatten)]
    decoders: DecoderArgs,
    /// How it looks: Kafka's text, or one JSON object a line
    #[arg(long = "output", short = 'o', value_enum, default_value = "text")]
    form: Form,
}

/// How keys and values are read. The first that is given counts, in this order.
#[derive(Debug, Args)]
struct DecoderArgs {
    /// Records are those of __consumer_offsets
    #[arg(long, help_heading = "Decoders")]
    offsets_decoder: bool,
    /// Records are those of __transaction_state
    #[arg(long, help_heading = "Decoders")]
    transaction_log_decoder: bool,
    /// Records are those of __cluster_metadata
    #[arg(long, help_heading = "Decoders")]
    cluster_metadata_decoder: bool,
    /// Records are those of __remote_log_metadata
    #[arg(long, help_heading = "Decoders")]
    remote_log_metadata_decoder: bool,
    /// Records are those of __share_group_state
    #[arg(long, help_heading = "Decoders")]
    share_group_state_decoder: bool,
    /// Class that reads values; of Kafka's own String, Integer and Long are known, and no class of a jar can be
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = decoders::STRING, help_heading = "Decoders")]
    value_decoder_class: Option<String>,
    /// Class that reads keys
    #[arg(long, value_name = "CLASS", num_args = 0..=1, default_missing_value = decoders::STRING, help_heading = "Decoders")]
    key_decoder_class: Option<String>,
}

impl DumpArgs {
    fn prints_data(&self) -> bool {
        let d = &self.decoders;
        self.print_data_log
            || d.offsets_decoder
            || d.transaction_log_decoder
            || d.cluster_metadata_decoder
            || d.remote_log_metadata_decoder
            || d.share_group_state_decoder
            || d.value_decoder_class.is_some()
            || d.key_decoder_class.is_some()
    }
}

/// Prints all files.
pub(super) fn run(args: &DumpArgs) -> anyhow::Result<ExitCode> {
    let decoder = Decoder::chosen(&args.decoders)?;
    let mut sink = Sink::new(args.form);
    let mut complaints = Complaints::default();
    let files = args.paths.iter().chain(&args.files);
    let dumped = files.into_iter().try_for_each(|path| one_file(path, args, &decoder, &mut sink, &mut complaints));
    // What was printed so far comes before what went wrong.
    sink.flush()?;
    dumped?;
    complaints.print(&mut sink)?;
    sink.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn one_file(
    path: &Path,
    args: &DumpArgs,
    decoder: &Decoder,
    sink: &mut Sink,
    complaints: &mut Complaints,
) -> anyhow::Result<()> {
    sink.begin_file(path)?;
    match path.extension().and_then(|suffix| suffix.to_str()) {
        Some("log" | "checkpoint") => batches::dump(path, args, decoder, sink, complaints),
        Some("index") => indexes::dump_offsets(path, args, sink, complaints),
        Some("timeindex") => indexes::dump_times(path, args, sink, complaints),
        Some("txnindex") => indexes::dump_transactions(path, sink),
        Some("snapshot") => producers::dump(path, sink),
        Some(_) | None => sink.remark(&format!("Ignoring unknown file {}", path.display())),
    }
}

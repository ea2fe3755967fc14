//! How the process ends: one number per kind of end, and the sentence that goes with it.

use std::io;
use std::process::ExitCode;

use crate::cli::advice;
use crate::output;

/// All went well.
pub(crate) const DONE: u8 = 0;
/// The operation failed, or a part of it.
pub(crate) const FAILURE: u8 = 1;
/// The command line is wrong; clap ends with this number too.
pub(crate) const USAGE: u8 = 2;
/// No broker could be reached.
pub(crate) const UNREACHABLE: u8 = 5;
/// `log verify` found damaged records.
pub(crate) const DAMAGE: u8 = 6;
/// `log verify` found something wrong by which no record is lost.
pub(crate) const REPAIRABLE: u8 = 7;

/// What `--help` says about it.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  the operation failed, or a part of it
  2  the command line is wrong
  3  the server stopped because it could not go on
  4  a second signal cut the server's stop short
  5  no broker could be reached
  6  `log verify` found damaged records
  7  `log verify` found something wrong, but no damaged record";

/// Tells what went wrong and what to do next, and chooses the number.
pub(crate) fn code_of(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match outcome {
        Ok(code) => return code,
        Err(e) => e,
    };
    // Whoever read our output has seen enough, as `head` has.
    if error.chain().any(|e| e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)) {
        return ExitCode::SUCCESS;
    }
    output::error(&error, advice::for_error(&error).as_deref());
    let unreachable = error
        .chain()
        .any(|e| matches!(e.downcast_ref::<ottla_client::Error>(), Some(ottla_client::Error::Bootstrap { .. })));
    ExitCode::from(if unreachable { UNREACHABLE } else { FAILURE })
}

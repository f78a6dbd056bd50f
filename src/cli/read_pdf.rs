//! `keepsake read-pdf`: the process that a server starts to read one PDF.

use std::process::ExitCode;

use clap::Args;

use crate::cli::{EXIT_INTERNAL, output::note};
use crate::extract::{Allowance, read_pdf};

/// What the process may take.
#[derive(Debug, Args)]
pub struct ReadPdfArgs {
    /// The most address space, in bytes.
    #[arg(long, value_name = "BYTES")]
    memory_bytes: u64,
    /// The longest time of a processor, in seconds.
    #[arg(long, value_name = "SECONDS")]
    cpu_seconds: u64,
}

/// Reads a PDF from stdin, writes its pages to stdout. It runs without a runtime, whose threads
/// would take memory that is limited.
pub(super) fn run(args: &ReadPdfArgs) -> ExitCode {
    let ReadPdfArgs { memory_bytes, cpu_seconds } = *args;
    match read_pdf(Allowance { memory_bytes, cpu_seconds }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("error: cannot read the PDF: {error}"));
            ExitCode::from(EXIT_INTERNAL)
        }
    }
}

//! `keepsake ingest`: files become documents of a collection.
//! In: files and folders. Out: documents over the streaming RPC, a summary, every refusal with its
//! file.
//! Invariant: a file's document id depends on its path alone, so that a second run replaces what
//! changed and nothing else; what was cut goes on where it was.

mod files;
mod send;
pub(super) mod whole;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use futures::stream::{self, StreamExt};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::cli::{
    Client, ClientArgs, Error, Output, Settings,
    error::{EXIT_OK, EXIT_USAGE, exit_code_of},
    output::note,
};
use crate::proto::v1;
use crate::types::{CollectionId, MediaType};
use files::File;
use send::Refused;

/// Documents at once: enough that one is read while another is written.
const DOCUMENTS_AT_ONCE: usize = 8;
/// How long the stream of one document may take: the largest one over a slow line. What a stream
/// that takes longer has sent stays, and the next one goes on there.
const STREAM_TIME: Duration = Duration::from_secs(600);

/// Flags of `keepsake ingest`.
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Files and folders; of a folder all files that are not hidden or named by a .gitignore.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The collection, which is created when it is not there.
    #[arg(long, value_name = "NAME")]
    collection: String,
    /// Of folders only files whose path matches, for example `**/*.md`; may be given more than
    /// once.
    #[arg(long, value_name = "PATTERN")]
    glob: Vec<String>,
    /// How all files are read, for example text/markdown [default: by the end of their names].
    #[arg(long, value_name = "TYPE", value_parser = media)]
    media_type: Option<MediaType>,
    /// A label of all documents; may be given more than once.
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// The most tokens of a chunk, 32 to 1,024 [default: 200].
    #[arg(long, value_name = "N")]
    chunk_tokens: Option<u32>,
    /// How many tokens of a chunk repeat the end of the one before [default: a tenth].
    #[arg(long, value_name = "N")]
    overlap_tokens: Option<u32>,
    /// Say which files would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
}

fn media(text: &str) -> Result<MediaType, String> {
    MediaType::parse(text)
        .map_err(|_| format!("must be one of {}", MediaType::ALL.map(MediaType::text).join(", ")))
}

/// Reads `KEY=VALUE`.
///
/// # Errors
/// A sentence for people.
pub(super) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// What became of all files.
#[derive(Default)]
struct Tally {
    created: u64,
    replaced: u64,
    unchanged: u64,
    bytes: u64,
    chunks: u64,
    tokens: u64,
    queued: u64,
    failed: Vec<(String, String)>,
    exit: Option<u8>,
}

impl Tally {
    fn add(&mut self, name: &str, sent: Result<v1::IngestDone, Refused>) {
        match sent {
            Ok(done) => {
                match done.outcome() {
                    v1::IngestOutcome::Created => self.created += 1,
                    v1::IngestOutcome::Replaced => self.replaced += 1,
                    v1::IngestOutcome::Unchanged | v1::IngestOutcome::Unspecified => {
                        self.unchanged += 1;
                    }
                }
                self.bytes += done.bytes_in;
                self.chunks += u64::from(done.chunks);
                self.tokens += done.tokens;
                self.queued += u64::from(done.chunks_queued);
            }
            Err(refused) => {
                let (why, exit) = match refused {
                    Refused::Document { reason, message } => {
                        (format!("{reason}: {message}"), EXIT_USAGE)
                    }
                    Refused::File(error) => (error.to_text(), error.exit_code()),
                    Refused::Call(status) => {
                        let exit = exit_code_of(&status);
                        (Error::Status(status).to_text(), exit)
                    }
                };
                note(&format!("{name}: {why}"));
                self.exit.get_or_insert(exit);
                self.failed.push((name.to_owned(), why));
            }
        }
    }
}

/// Sends files and gives the exit code: that of the first one that was refused.
pub(super) async fn run(
    args: &IngestArgs,
    client: &ClientArgs,
    output: Output,
) -> Result<u8, Error> {
    if let Err(error) = CollectionId::parse(&args.collection) {
        return Err(Error::Usage(format!("--collection {error}")));
    }
    let found = files::find(&args.paths, &args.glob, args.media_type)?;
    for skipped in &found.skipped {
        note(&format!("{skipped}: passed over: it is neither text nor of a known type"));
    }
    if args.dry_run {
        return listed(&found.files, output).map(|()| EXIT_OK);
    }
    let mut settings = Settings::resolve(client)?;
    settings.timeout = settings.timeout.max(STREAM_TIME);
    let client = Client::connect(&settings).await?;
    let progress = progress_bar(found.files.iter().map(|file| file.bytes).sum());
    let mut sent = stream::iter(found.files)
        .map(|file| {
            let (client, header) = (client.clone(), header(args, &file));
            let progress = &progress;
            async move { (file.name.clone(), send::send(client, &file, header, progress).await) }
        })
        .buffer_unordered(DOCUMENTS_AT_ONCE);
    let mut tally = Tally::default();
    while let Some((name, answer)) = sent.next().await {
        tally.add(&name, answer);
    }
    drop(sent);
    progress.finish_and_clear();
    summary(&args.collection, &tally, found.skipped.len(), output)?;
    Ok(tally.exit.unwrap_or(EXIT_OK))
}

fn header(args: &IngestArgs, file: &File) -> v1::DocumentHeader {
    let mut metadata: BTreeMap<String, String> = args.label.iter().cloned().collect();
    metadata.entry("path".to_owned()).or_insert_with(|| file.label());
    let chunking =
        (args.chunk_tokens.is_some() || args.overlap_tokens.is_some()).then(|| v1::Chunking {
            tokens_max: args.chunk_tokens.unwrap_or(0),
            overlap_tokens: args.overlap_tokens,
        });
    v1::DocumentHeader {
        collection: args.collection.clone(),
        document_id: file.id.clone(),
        title: file.title(),
        media_type: file.media.text().to_owned(),
        metadata,
        chunking,
        bytes: file.bytes,
        ..Default::default()
    }
}

fn listed(files: &[File], output: Output) -> Result<(), Error> {
    if output.is_json() {
        let files: Vec<_> = files
            .iter()
            .map(|file| {
                json!({ "path": file.name, "documentId": file.id,
                        "mediaType": file.media.text(), "bytes": file.bytes })
            })
            .collect();
        return output.json(&json!({ "dryRun": true, "files": files }));
    }
    let line = |file: &File| format!("{}  {}  {} bytes\n", file.id, file.media.text(), file.bytes);
    output.text(&files.iter().map(line).collect::<String>())
}

fn progress_bar(bytes: u64) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template(
        "{wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
    )
    .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(bytes), target).with_style(style)
}

fn summary(collection: &str, tally: &Tally, skipped: usize, output: Output) -> Result<(), Error> {
    let documents = tally.created + tally.replaced + tally.unchanged;
    if output.is_json() {
        return output.json(&json!({
            "collection": collection,
            "documents": documents,
            "created": tally.created,
            "replaced": tally.replaced,
            "unchanged": tally.unchanged,
            "bytes": tally.bytes,
            "chunks": tally.chunks,
            "tokens": tally.tokens,
            "chunksQueued": tally.queued,
            "filesPassedOver": skipped,
            "filesFailed": tally.failed.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        }));
    }
    output.text(&format!(
        "{documents} documents in {collection}: {} new, {} replaced, {} were there; {} chunks, {} \
         tokens; {} chunks wait for their vectors; {skipped} files passed over, {} failed",
        tally.created,
        tally.replaced,
        tally.unchanged,
        tally.chunks,
        tally.tokens,
        tally.queued,
        tally.failed.len()
    ))
}

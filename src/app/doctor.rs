//! `keepsake doctor`: looks at a data folder that no server holds, and mends what is derived.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{documents, embedding, error::StartError, open_store};
use crate::audit::{Audit, Check, Examined, Level, Outcome};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{DocumentEngine, EmbeddingModel, Engine, Settings};
use crate::documents::{IndexError, qdrant_version};
use crate::embed::{
    EmbedError,
    http::{HttpOptions, probe},
};
use crate::error::chain;
use crate::record::keys;
use crate::storage::{Batch, CommitError, Order, Read, Row, Store, StoreError};

/// How many rows are read at a time: some megabytes.
const PAGE_ROWS: usize = 4_096;
/// The most writes of one commit that mends.
const MEND_WRITES_MAX: usize = 4_096;
/// Below this the disk is nearly full: the engine's background work may need as much for a while.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// What one check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What was checked.
    pub name: &'static str,
    /// How it is.
    pub level: Level,
    /// What was found, and what to do about it.
    pub text: String,
    /// One by one, the first ones.
    pub details: Vec<String>,
}

impl Line {
    fn new(name: &'static str, level: Level, text: impl Into<String>) -> Self {
        Self { name, level, text: text.into(), details: Vec::new() }
    }
}

/// Looks at the data folder of these settings; with `repair` mends what is derived and looks again.
/// Nothing is made that is not there: without data there is one line that says so.
pub async fn examine(settings: &Settings, repair: bool) -> Vec<Line> {
    if settings.engine == Engine::Memory {
        return vec![Line::new("folder", Level::Ok, "the engine `memory` keeps none")];
    }
    let folder = &settings.data;
    if !folder.join("FORMAT").exists() {
        let text = format!("`{}` holds no data of this program", folder.display());
        return vec![Line::new("folder", Level::Bad, text)];
    }
    let mut lines = vec![
        permissions(folder),
        mark(folder),
        aside(folder),
        space(folder, settings.free_bytes_min),
    ];
    lines.extend(qdrant(settings).await);
    lines.extend(embedder(settings).await);
    lines.extend(cache(folder));
    lines.extend(["server.key", "dev.key"].map(|name| secret(folder, name)).into_iter().flatten());
    let store = match open_store(settings).await {
        Ok((store, _)) => store,
        Err(error) => {
            lines.push(Line::new("store", Level::Bad, chain(&error)));
            return lines;
        }
    };
    match record(store.as_ref(), settings, repair).await {
        Ok(found) => lines.extend(found),
        Err(error) => lines.push(Line::new("store", Level::Bad, chain(&error))),
    }
    if let Err(error) = store.close().await {
        lines.push(Line::new("store", Level::Bad, chain(&error)));
    }
    lines
}

/// Whether the server of documents answers, where there is one.
async fn qdrant(settings: &Settings) -> Option<Line> {
    if settings.documents.engine != DocumentEngine::Qdrant {
        return None;
    }
    let url = &settings.documents.qdrant.url;
    Some(match qdrant_version(&documents::options(settings, None)).await {
        Ok(version) => Line::new("qdrant", Level::Ok, format!("{version} answers at {url}")),
        Err(error @ IndexError::Unavailable { .. }) => {
            let text = format!("{url}: {error}; documents are not found until it answers");
            Line::new("qdrant", Level::Warn, text)
        }
        Err(error) => Line::new("qdrant", Level::Bad, format!("{url}: {error}")),
    })
}

/// Whether the server that embeds answers, where there is one, and as the settings say.
async fn embedder(settings: &Settings) -> Option<Line> {
    let EmbeddingModel::Http(model) = &settings.embedding.model else { return None };
    let bad = |text: String| Some(Line::new("embedder", Level::Bad, text));
    let options = match embedding::http_options(&settings.embedding, model) {
        Ok(options) => options,
        Err(error) => return bad(error.to_string()),
    };
    let url = options.url.clone();
    // An answer of another length is told by that, not by its refusal.
    let wanted = options.dimensions;
    let dimensions = if options.send_dimensions { wanted } else { 0 };
    let timeout = options.timeout.min(embedding::PROBE_MAX);
    match probe(&HttpOptions { timeout, dimensions, ..options }).await {
        Ok(found) if wanted != 0 && found.dimensions != wanted => bad(format!(
            "`{model}` at {url} has vectors of {} numbers: `embedding.http.dimensions` says \
             {wanted}",
            found.dimensions
        )),
        Ok(found) => {
            let (numbers, tokens) = (found.dimensions, found.tokens);
            let text =
                format!("`{model}` answers at {url}: {numbers} numbers, {tokens} tokens a word");
            Some(Line::new("embedder", Level::Ok, text))
        }
        Err(EmbedError::Unavailable { why }) => {
            let text = format!("`{model}` at {url}: {why}; all is found by words until it answers");
            Some(Line::new("embedder", Level::Warn, text))
        }
        Err(error) => bad(format!("`{model}` at {url}: {error}")),
    }
}

/// How large the folder of kept vectors is, where there is one.
fn cache(folder: &Path) -> Option<Line> {
    let entries = fs::read_dir(folder.join(embedding::CACHE_FOLDER)).ok()?;
    let sizes = entries.flatten().filter_map(|entry| entry.metadata().ok());
    let bytes: u64 = sizes.map(|file| file.len()).sum();
    let text = format!("{} MiB of vectors: may be removed at any time", bytes >> 20);
    Some(Line::new("cache", Level::Ok, text))
}

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|found| found.permissions().mode() & 0o777)
}

fn permissions(folder: &Path) -> Line {
    match mode(folder) {
        Some(mode) if mode & 0o077 == 0 => {
            Line::new("folder", Level::Ok, folder.display().to_string())
        }
        mode => {
            let (path, mode) = (folder.display(), mode.unwrap_or_default());
            let text = format!("`{path}` is open to others ({mode:o}): chmod 700 {path}");
            Line::new("folder", Level::Warn, text)
        }
    }
}

fn mark(folder: &Path) -> Line {
    if folder.join("MARK").exists() {
        return Line::new("mark", Level::Ok, "there");
    }
    let text = "not there: nothing told whether commits are missing; it is made now";
    Line::new("mark", Level::Warn, text)
}

fn aside(folder: &Path) -> Line {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let names: Vec<String> = names.filter(|name| name.starts_with("set-aside-")).collect();
    match names.is_empty() {
        true => Line::new("journals", Level::Ok, "none was set aside"),
        false => {
            let text = "journals of a start that was refused: remove them when nothing is missing";
            Line { details: names, ..Line::new("journals", Level::Warn, text) }
        }
    }
}

fn space(folder: &Path, free_bytes_min: u64) -> Line {
    let free = match rustix::fs::statvfs(folder) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => return Line::new("space", Level::Warn, format!("is not told: {error}")),
    };
    let text = format!("{} MiB are free", free >> 20);
    if free < free_bytes_min {
        return Line::new("space", Level::Bad, format!("{text}: writes are refused until more is"));
    }
    match free < FREE_BYTES_MIN {
        true => Line::new("space", Level::Warn, format!("{text}: make room before writes stop")),
        false => Line::new("space", Level::Ok, text),
    }
}

/// A file that holds a secret; the development key may be missing.
fn secret(folder: &Path, name: &'static str) -> Option<Line> {
    let path = folder.join(name);
    let Some(mode) = mode(&path) else {
        let text = "not there: no API key is known without it; put it back from a backup";
        return (name == "server.key").then(|| Line::new(name, Level::Bad, text));
    };
    let text = format!("others may read it ({mode:o}): chmod 600 {}", path.display());
    Some(match mode & 0o077 {
        0 => Line::new(name, Level::Ok, "for its owner only"),
        _ => Line::new(name, Level::Bad, text),
    })
}

async fn record(
    store: &dyn Store,
    settings: &Settings,
    repair: bool,
) -> Result<Vec<Line>, StartError> {
    let embeds = settings.embedding.model != EmbeddingModel::None;
    let found = look(store, embeds).await.map_err(failed)?;
    if !repair {
        return Ok(lines_of(&found));
    }
    let writes = mend(store, &found).await.map_err(failed)?;
    let again = look(store, embeds).await.map_err(failed)?;
    let mut lines = lines_of(&again);
    lines.push(Line::new("repair", Level::Ok, format!("{writes} rows were written or removed")));
    Ok(lines)
}

fn failed(error: StoreError) -> StartError {
    StartError::Examine(error)
}

/// Reads every row once.
async fn look(store: &dyn Store, embeds: bool) -> Result<Examined, StoreError> {
    let mut audit = Audit::new(SystemClock::new().now(), embeds);
    let mut from = Vec::new();
    loop {
        let page =
            Read::Range { from: from.into(), to: None, limit: PAGE_ROWS, order: Order::Ascending };
        let rows = store.read(vec![page]).await?.remove(0);
        rows.iter().for_each(|row| audit.row(row));
        match rows.last() {
            Some(last) if rows.len() == PAGE_ROWS => {
                from = last.key.to_vec();
                from.push(0);
            }
            _ => return Ok(audit.end()),
        }
    }
}

/// Makes the writes that mend; gives how many.
async fn mend(store: &dyn Store, found: &Examined) -> Result<usize, StoreError> {
    let mut writes = 0;
    for batch in &found.mends {
        let all: Vec<_> = batch.writes().collect();
        for some in all.chunks(MEND_WRITES_MAX) {
            let batch = some.iter().fold(Batch::new(), |batch, (key, value)| match value {
                Some(value) => batch.put((*key).clone(), (*value).clone()),
                None => batch.delete((*key).clone()),
            });
            writes += some.len();
            commit(store, batch).await?;
        }
    }
    for orphan in &found.orphans {
        loop {
            let all = Read::prefix(keys::incarnation(*orphan)).limit(MEND_WRITES_MAX);
            let rows = store.read(vec![all]).await?.remove(0);
            if rows.is_empty() {
                break;
            }
            writes += rows.len();
            let delete = |batch: Batch, row: Row| batch.delete(row.key);
            commit(store, rows.into_iter().fold(Batch::new(), delete)).await?;
        }
    }
    Ok(writes)
}

async fn commit(store: &dyn Store, batch: Batch) -> Result<(), StoreError> {
    match store.commit(batch).await {
        Ok(_) => Ok(()),
        Err(CommitError::Store(error)) => Err(error),
        // Nobody else writes, and the batch expects nothing.
        Err(CommitError::Conflict { .. }) => Ok(()),
    }
}

fn lines_of(found: &Examined) -> Vec<Line> {
    Check::ALL.map(|check| line(check, &found.report.outcome(check))).into()
}

fn line(check: Check, outcome: &Outcome) -> Line {
    let looked = format!("{} looked at", outcome.looked_at);
    let text = match (outcome.level, outcome.mendable) {
        (Level::Ok, _) => looked,
        (Level::Warn, _) => format!("{looked}, {} to know of", outcome.count),
        (Level::Bad, true) => format!("{looked}, {} wrong: --repair mends them", outcome.count),
        (Level::Bad, false) => {
            format!("{looked}, {} wrong; not all can be mended: restore a backup", outcome.count)
        }
    };
    let details = outcome.findings.iter().map(|found| format!("{}: {}", found.subject, found.what));
    Line { details: details.collect(), ..Line::new(check.text(), outcome.level, text) }
}

//! The files of the index: one of tantivy for the whole node, written from time to time. They hold
//! hashes of terms, counts and ids, no text.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxHashSet;
use tantivy::directory::{Directory, MmapDirectory, RamDirectory};
use tantivy::indexer::{IndexWriterOptions, UserOperation};
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::TokenizerManager;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use crate::documents::embedded::{
    fresh::Fresh,
    segment::Segment,
    tokens::{self, TOKENIZER, Terms},
};
use crate::retrieve::{ANALYSIS_VERSION, Language};
use crate::types::Generation;

/// The version of the files; it changes with the schema and the form of terms.
const FILES_VERSION: u32 = 1;

/// The memory in which the writer gathers a segment. A commit of a full tail takes a fraction.
const WRITER_BYTES: usize = 48 << 20;

/// The fields of a chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields {
    pub(super) terms: Field,
    generation: Field,
    collection: Field,
    words: Field,
    language: Field,
}

/// What was committed, open for reading.
#[derive(Default)]
pub(super) struct Committed {
    /// The last batch that is in it.
    pub(super) through: u64,
    pub(super) segments: Vec<Arc<Segment>>,
}

/// The files and what writes them.
pub(super) struct Files {
    index: Index,
    reader: IndexReader,
    fields: Fields,
    /// None until something is written, and after it failed.
    writer: Option<IndexWriter>,
    /// Whether nobody knows if the last batch was written: it failed, early or late.
    uncertain: bool,
}

impl Files {
    /// Opens the files in a folder, or makes new ones in memory. Files that are damaged or of
    /// another version are made anew, empty; the second value says why.
    pub(super) fn open(folder: Option<&Path>) -> io::Result<(Self, Option<String>)> {
        let Some(folder) = folder else {
            return Ok((Self::on(RamDirectory::create()).map_err(io::Error::other)?, None));
        };
        let words = folder.join("words");
        let why = match ours(folder, &words)? {
            true => match Self::sound(&words) {
                Ok(files) => return Ok((files, None)),
                Err(why) => Some(why),
            },
            false => None,
        };
        let fresh = !words.exists();
        if !fresh {
            set_aside(folder, &words)?;
        }
        fs::create_dir_all(&words)?;
        fs::write(folder.join("VERSION"), version())?;
        let files = Self::in_folder(&words).map_err(io::Error::other)?;
        let why = why.or_else(|| (!fresh).then(|| "its version is another".to_owned()));
        Ok((files, why))
    }

    /// Opens files whose checksums are right; else says what is wrong. What tantivy does with files
    /// that are damaged is open: it may panic, or find other words.
    fn sound(words: &Path) -> Result<Self, String> {
        let open = || -> tantivy::Result<Result<Self, String>> {
            let files = Self::in_folder(words)?;
            let damaged = files.index.validate_checksum()?;
            if let Some(file) = damaged.iter().min() {
                return Ok(Err(format!("`{}` is damaged", file.display())));
            }
            files.read()?;
            Ok(Ok(files))
        };
        let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
        match opened {
            Ok(opened) => opened.unwrap_or_else(|error| Err(error.to_string())),
            Err(_) => Err("its files cannot be read".to_owned()),
        }
    }

    fn in_folder(words: &Path) -> tantivy::Result<Self> {
        Self::on(MmapDirectory::open(words)?)
    }

    fn on(directory: impl Into<Box<dyn Directory>>) -> tantivy::Result<Self> {
        let (schema, fields) = schema();
        let tokenizers = TokenizerManager::default();
        tokenizers.register(TOKENIZER, Terms::default());
        let builder = Index::builder().schema(schema).tokenizers(tokenizers);
        let index = builder.open_or_create(directory)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, reader, fields, writer: None, uncertain: false })
    }

    /// What is committed, as of the files alone.
    pub(super) fn read(&self) -> tantivy::Result<Committed> {
        self.committed(0, &Committed::default())
    }

    /// What is committed, with what is still right of what was `known` before.
    fn committed(&self, through: u64, known: &Committed) -> tantivy::Result<Committed> {
        self.reader.reload()?;
        let mut segments = Vec::new();
        for reader in self.reader.searcher().segment_readers() {
            let same = |segment: &&Arc<Segment>| {
                segment.reader.segment_id() == reader.segment_id()
                    && segment.reader.num_deleted_docs() == reader.num_deleted_docs()
            };
            match known.segments.iter().find(same) {
                Some(segment) => segments.push(Arc::clone(segment)),
                None => segments.push(Arc::new(Segment::open(reader, self.fields)?)),
            }
        }
        Ok(Committed { through, segments })
    }

    /// Writes a batch down: first what goes, then what comes. After a failure the same batch can be
    /// written again.
    pub(super) fn commit(
        &mut self,
        batch: u64,
        gone: &FxHashSet<Generation>,
        come: &[Arc<Fresh>],
        known: &Committed,
    ) -> tantivy::Result<Committed> {
        let again = std::mem::replace(&mut self.uncertain, true);
        let twice = come.iter().filter(|_| again).map(|fresh| fresh.generation);
        let gone: Vec<Generation> = gone.iter().copied().chain(twice).collect();
        if let Err(error) = self.write(&gone, come) {
            // Dropped with all that was not committed; the next one is new.
            self.writer = None;
            return Err(error);
        }
        let committed = self.committed(batch, known)?;
        self.uncertain = false;
        Ok(committed)
    }

    fn write(&mut self, gone: &[Generation], come: &[Arc<Fresh>]) -> tantivy::Result<()> {
        let fields = self.fields;
        let writer = self.writer()?;
        for generation in gone {
            writer.delete_term(Term::from_field_bytes(fields.generation, &generation.0));
        }
        for fresh in come {
            // One group goes to one segment, so that chunks stand in a row there.
            writer.run(chunks(fresh, fields))?;
        }
        writer.commit()?;
        Ok(())
    }

    /// Merges all into one segment without anything deleted.
    pub(super) fn merge(&mut self, known: &Committed) -> tantivy::Result<Committed> {
        if let Some(writer) = self.writer.take() {
            // A segment that is being merged already cannot be merged by us.
            writer.wait_merging_threads()?;
        }
        let metas = self.index.searchable_segment_metas()?;
        if metas.len() > 1 || metas.iter().any(|meta| meta.has_deletes()) {
            let ids: Vec<_> = metas.iter().map(|meta| meta.id()).collect();
            self.writer()?.merge(&ids).wait()?;
        }
        self.committed(known.through, known)
    }

    /// Removes the files that nobody needs any more.
    pub(super) fn sweep(&mut self) -> tantivy::Result<()> {
        self.writer()?.garbage_collect_files().wait()?;
        Ok(())
    }

    fn writer(&mut self) -> tantivy::Result<&mut IndexWriter> {
        if self.writer.is_none() {
            let options = IndexWriterOptions::builder()
                .memory_budget_per_thread(WRITER_BYTES)
                .num_merge_threads(1)
                .build();
            self.writer = Some(self.index.writer_with_options(options)?);
        }
        Ok(self.writer.as_mut().expect("it was made just now"))
    }
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    // No lengths: tantivy's are rounded, and would be compared with other tenants' means.
    let terms = TextFieldIndexing::default()
        .set_tokenizer(TOKENIZER)
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::WithFreqs);
    let column = NumericOptions::default().set_fast();
    let fields = Fields {
        terms: builder.add_text_field("terms", TextOptions::default().set_indexing_options(terms)),
        generation: builder
            .add_bytes_field("generation", BytesOptions::default().set_indexed().set_fast()),
        collection: builder.add_bytes_field("collection", BytesOptions::default().set_fast()),
        words: builder.add_u64_field("words", column.clone()),
        language: builder.add_u64_field("language", column),
    };
    (builder.build(), fields)
}

fn chunks(fresh: &Fresh, fields: Fields) -> Vec<UserOperation> {
    let chunk = |(terms, (words, language)): (Vec<(u64, u16)>, &(u32, Language))| {
        let mut text = String::with_capacity(*words as usize * tokens::LETTERS);
        for (hash, count) in terms {
            for _ in 0..count {
                tokens::write(fresh.collection, hash, &mut text);
            }
        }
        let mut document = TantivyDocument::new();
        document.add_text(fields.terms, text);
        document.add_bytes(fields.generation, &fresh.generation.0);
        document.add_bytes(fields.collection, &fresh.collection.0);
        document.add_u64(fields.words, u64::from(*words));
        document.add_u64(fields.language, language.number());
        UserOperation::Add(document)
    };
    fresh.by_chunk().into_iter().zip(&fresh.chunks).map(chunk).collect()
}

fn version() -> String {
    format!("keepsake documents {FILES_VERSION} analysis {ANALYSIS_VERSION}\n")
}

/// Whether the files are of this version. A folder without any is; one whose files nobody named
/// is not.
fn ours(folder: &Path, words: &Path) -> io::Result<bool> {
    match fs::read_to_string(folder.join("VERSION")) {
        Ok(known) => Ok(known == version() && words.exists()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes away files that are not used: removed when they are an index's own, since the record has
/// all that was in them; else they are somebody's, and get another name.
fn set_aside(folder: &Path, words: &Path) -> io::Result<()> {
    if folder.join("VERSION").exists() {
        return fs::remove_dir_all(words);
    }
    let free = |number: &u32| -> bool { !aside(folder, *number).exists() };
    let number = (1..).find(free).unwrap_or_default();
    fs::rename(words, aside(folder, number))
}

fn aside(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("words-set-aside-{number}"))
}

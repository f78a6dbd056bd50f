//! Vectors of texts that were embedded before, by a keyed hash of what they are of: in memory, and
//! in files.
//! In: digests, and vectors for them. Out: the same numbers, or nothing: any of them may be gone.
//! Invariant: what is forgotten is in no file, and what began before that comes back to none.

mod disk;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use moka::sync::Cache;

use disk::Disk;

/// A keyed hash of tenant, embedder and text: nobody without the key can tell the text.
pub type Digest = [u8; 16];
/// A vector, and what it is of.
pub type Kept = (Digest, Arc<[f32]>);

/// What an entry takes in memory beside its numbers, in bytes.
const ENTRY_BYTES: usize = 96;
/// How many bytes of vectors may wait to be written at a time: more are not kept.
const WRITING_BYTES_MAX: u64 = 16 << 20;

/// When something was begun, by how often all had been forgotten by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(u64);

/// The cache.
pub struct VectorCache {
    memory: Cache<Digest, Arc<[f32]>>,
    disk: Option<Disk>,
    epoch: AtomicU64,
    writing: AtomicU64,
}

/// How large a cache is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Entries in memory.
    pub memory_entries: u64,
    /// Their bytes.
    pub memory_bytes: u64,
    /// Entries in files.
    pub disk_entries: u64,
    /// The bytes of the files.
    pub disk_bytes: u64,
}

impl VectorCache {
    /// An empty one that takes so many bytes of memory at the most; the least used go.
    pub fn in_memory(bytes: u64) -> Self {
        let weigh = |_: &Digest, vector: &Arc<[f32]>| {
            u32::try_from(size_of_val::<[f32]>(vector) + ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        Self {
            memory: Cache::builder().max_capacity(bytes).weigher(weigh).build(),
            disk: None,
            epoch: AtomicU64::new(0),
            writing: AtomicU64::new(0),
        }
    }

    /// The same with files in `folder` that take so many bytes at the most; the oldest go. Nothing
    /// is written while less than `free_bytes_min` of the disk is free. What is there already is
    /// read. It blocks.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn with_folder(
        mut self,
        folder: &Path,
        bytes: u64,
        free_bytes_min: u64,
    ) -> io::Result<Self> {
        self.disk = Some(Disk::open(folder, bytes, free_bytes_min)?);
        Ok(self)
    }

    /// Whether there are files.
    pub fn has_files(&self) -> bool {
        self.disk.is_some()
    }

    /// The moment, for what is put later.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.epoch.load(SeqCst))
    }

    /// A vector that is in memory.
    pub fn get(&self, digest: &Digest) -> Option<Arc<[f32]>> {
        self.memory.get(digest)
    }

    /// Vectors that are in files, each in the place of its digest. It blocks.
    pub fn read(&self, digests: &[Digest]) -> Vec<Option<Arc<[f32]>>> {
        let Some(disk) = &self.disk else { return vec![None; digests.len()] };
        digests.iter().map(|digest| disk.read(digest).map(Arc::from)).collect()
    }

    /// Puts vectors into memory that were asked for at a time; none when all was forgotten since.
    pub fn put(&self, epoch: Epoch, vectors: &[Kept]) {
        for (digest, vector) in vectors {
            self.memory.insert(*digest, vector.clone());
        }
        if self.epoch() != epoch {
            // Whoever forgot may have come before the first of them.
            vectors.iter().for_each(|(digest, _)| self.memory.invalidate(digest));
        }
    }

    /// Takes vectors to be written, unless too many wait for that already.
    pub fn begin_to_write(self: &Arc<Self>, epoch: Epoch, vectors: Vec<Kept>) -> Option<Writing> {
        self.disk.as_ref()?;
        let numbers = vectors.iter().map(|(_, vector)| size_of_val::<[f32]>(vector) as u64);
        let bytes: u64 = numbers.sum();
        let before = self.writing.fetch_add(bytes, SeqCst);
        let writing = Writing { cache: self.clone(), epoch, vectors, bytes };
        (before + bytes <= WRITING_BYTES_MAX).then_some(writing)
    }

    /// Forgets all, in memory and in files; what is under way is not kept either. It blocks.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn forget(&self) -> io::Result<()> {
        self.epoch.fetch_add(1, SeqCst);
        self.memory.invalidate_all();
        self.memory.run_pending_tasks();
        self.disk.as_ref().map_or(Ok(()), Disk::forget)
    }

    /// How large it is.
    pub fn figures(&self) -> CacheFigures {
        self.memory.run_pending_tasks();
        let (disk_entries, disk_bytes) = self.disk.as_ref().map(Disk::size).unwrap_or_default();
        CacheFigures {
            memory_entries: self.memory.entry_count(),
            memory_bytes: self.memory.weighted_size(),
            disk_entries,
            disk_bytes,
        }
    }
}

/// Vectors that wait to be written.
pub struct Writing {
    cache: Arc<VectorCache>,
    epoch: Epoch,
    vectors: Vec<Kept>,
    bytes: u64,
}

impl Writing {
    /// Writes them. It blocks.
    ///
    /// # Errors
    /// When they cannot be written; no more are written from then on, until all is forgotten or
    /// opened anew.
    pub fn write(self) -> io::Result<()> {
        let Some(disk) = &self.cache.disk else { return Ok(()) };
        // Asked under the lock of the files: who forgets comes before or after.
        disk.write(&self.vectors, || self.cache.epoch() == self.epoch)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.cache.writing.fetch_sub(self.bytes, SeqCst);
    }
}

#[cfg(test)]
mod tests;

//! The data folder: set up, held, checked, and its engine opened.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::engine::{Engine, EngineError, Kind, Position, Recovered, is_full};
use super::mark::Mark;
use super::open_error::OpenError;

/// The version of the layout of the data folder and of the record that this program writes.
pub const FORMAT_VERSION: u32 = 3;

/// The names of all engines on disk, which are those of their own folders: a folder with one of
/// another engine in it is refused, since a second record in it would begin empty.
const ENGINES: [&str; 2] = ["fjall", "sled"];

/// The most copies of journals that are kept for an operator: the first one holds what was lost,
/// later ones come from further starts of the same folder.
const ASIDE_MAX: u32 = 8;

/// The file that is written to find out whether the disk is full.
const PROBE: &str = "PROBE";

/// The file that keeps space for opening the engine.
const RESERVE: &str = "RESERVE";

/// The bytes that are written at once to find out whether the disk is full.
const PROBE_BLOCK_BYTES: usize = 1 << 20;

/// How many blocks must fit for a disk not to be full: four tables of the engine, which it writes
/// before it removes those that they replace.
const PROBE_BLOCKS: usize = 256;

/// A data folder held by this process; dropping it lets go of it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    engine: PathBuf,
    _lock: File,
}

/// What opening a folder gives.
pub(super) struct Opened<E> {
    pub(super) engine: E,
    pub(super) mark: Mark,
    pub(super) position: Position,
}

impl Folder {
    /// Where the engine's own files lie.
    pub(super) fn engine_path(&self) -> &Path {
        &self.engine
    }
}

/// Holds the folder, sets it up when it is new, and opens what is in it.
pub(super) fn open<K: Kind>(
    path: &Path,
    kind: &K,
) -> Result<(Folder, Opened<K::Engine>), OpenError> {
    create_private(path).map_err(OpenError::file("make the data folder", path))?;
    let engine = path.join(K::NAME);
    let folder = Folder { path: path.to_owned(), engine, _lock: lock(path)? };
    check_engine(path, K::NAME)?;
    check_format(&folder)?;
    // Left there by a process that was ended while it tried the disk.
    fs::remove_file(path.join(PROBE)).ok();
    folder.free_reserve();
    let (mark, marked) = open_mark(&folder)?;
    let (engine, position) = open_engine(&folder, kind, marked)?;
    Ok((folder, Opened { engine, mark, position }))
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("LOCK");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(OpenError::file("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::file("lock", &path)(source)),
    }
}

/// The engines whose files are in a data folder: none in a new one, never two in a sound one.
pub(super) fn engines_in(folder: &Path) -> impl Iterator<Item = &'static str> {
    ENGINES.into_iter().filter(move |name| folder.join(name).exists())
}

fn check_engine(folder: &Path, asked: &'static str) -> Result<(), OpenError> {
    match engines_in(folder).find(|found| *found != asked) {
        Some(found) => Err(OpenError::OtherEngine { path: folder.to_owned(), found, asked }),
        None => Ok(()),
    }
}

fn check_format(folder: &Folder) -> Result<(), OpenError> {
    let path = folder.path.join("FORMAT");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return write_format(folder),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => String::new(),
        Err(error) => return Err(OpenError::file("read", &path)(error)),
    };
    match text.trim_end().strip_prefix("keepsake ").and_then(|version| version.parse().ok()) {
        Some(FORMAT_VERSION) => Ok(()),
        // Rows of older versions are read as they are; their programs read none of ours.
        Some(1 | 2) => replace_format(&folder.path),
        Some(found) if found > FORMAT_VERSION => {
            Err(OpenError::FormatNewer { path: folder.path.clone(), found })
        }
        Some(_) | None => Err(OpenError::FormatUnreadable { path }),
    }
}

/// Makes `FORMAT`, the first file of a folder: what comes later without it is not ours to open.
fn write_format(folder: &Folder) -> Result<(), OpenError> {
    let path = &folder.path;
    if folder.engine_path().exists() || path.join("MARK").exists() {
        return Err(OpenError::FormatMissing { path: path.clone() });
    }
    // A folder made by others may be open to them; from now on it holds conversations.
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(OpenError::file("write", path))?;
    replace_format(path)
}

fn replace_format(folder: &Path) -> Result<(), OpenError> {
    let path = folder.join("FORMAT");
    let write = || -> io::Result<()> {
        let new = folder.join("FORMAT.new");
        let mut file = File::create(&new)?;
        writeln!(file, "keepsake {FORMAT_VERSION}")?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        sync_folder(folder)
    };
    write().map_err(OpenError::file("write", &path))
}

fn open_mark(folder: &Folder) -> Result<(Mark, u64), OpenError> {
    let path = folder.path.join("MARK");
    match Mark::open(&path) {
        Ok(Some(mark)) => Ok(mark),
        // Set up and not yet filled, or cut off while it was: nothing was acknowledged before.
        Ok(None) if folder.engine_path().exists() => Err(OpenError::MarkDamaged { path }),
        Ok(None) => create_mark(folder, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if folder.engine_path().exists() {
                tracing::warn!(path = %path.display(), "no mark: cannot tell a lost commit");
            }
            create_mark(folder, &path)
        }
        Err(error) => Err(OpenError::file("read", &path)(error)),
    }
}

fn create_mark(folder: &Folder, path: &Path) -> Result<(Mark, u64), OpenError> {
    let create = || {
        let mark = Mark::create(path, 0)?;
        sync_folder(&folder.path)?;
        Ok((mark, 0))
    };
    create().map_err(OpenError::file("write", path))
}

/// Opens the engine, and refuses it when it lost a group. It cuts a damaged journal when it opens,
/// so a copy of the journals is made before, and kept when it is refused.
fn open_engine<K: Kind>(
    folder: &Folder,
    kind: &K,
    marked: u64,
) -> Result<(K::Engine, Position), OpenError> {
    let path = folder.engine_path();
    let list = K::damaged_list(path).map_err(OpenError::file("read a file in", path))?;
    if let Some(path) = list {
        return Err(OpenError::ListDamaged { path });
    }
    let copy = folder.path.join("set-aside-new");
    let journals = K::journals(path).map_err(OpenError::file("read", path))?;
    let copied = copy_journals(&journals, &copy);
    copied.map_err(OpenError::file("set aside the journals in", &copy))?;
    let keep = || keep_copy(folder, &copy);
    let damaged = K::damaged(&journals);
    if let Some(damaged) = damaged.map_err(OpenError::file("read a journal in", path))? {
        return Err(OpenError::JournalDamaged { path: damaged.clone(), aside: keep() });
    }
    let engine_error = |EngineError { source, .. }| OpenError::Engine {
        path: path.to_owned(),
        aside: keep(),
        source,
    };
    let engine = kind.open(path).map_err(engine_error)?;
    let lost = |missing, last| OpenError::GroupsLost {
        path: folder.path.clone(),
        missing,
        last,
        aside: keep(),
    };
    match engine.recovered().map_err(engine_error)? {
        Recovered::Whole(position) if position.group < marked => {
            Err(lost(position.group + 1, marked))
        }
        Recovered::Whole(position) => {
            remove_folder(&copy).map_err(OpenError::file("remove", &copy))?;
            Ok((engine, position))
        }
        Recovered::Hole { missing, last } => Err(lost(missing, last.max(marked))),
        Recovered::Unreadable => Err(OpenError::RowUnreadable { path: path.to_owned() }),
    }
}

/// Copies `journals` to the new folder `to`; without space it copies nothing, since a full disk
/// must not keep a sound folder shut.
fn copy_journals(journals: &[PathBuf], to: &Path) -> io::Result<()> {
    remove_folder(to)?;
    if journals.is_empty() {
        return Ok(());
    }
    create_private(to)?;
    for path in journals {
        let copied = to.join(path.file_name().unwrap_or_default());
        match copy_sparse(path, &copied) {
            Err(error) if is_full(&error) => {
                tracing::warn!("the disk is full: journals are not set aside");
                return remove_folder(to);
            }
            copied => copied?,
        }
    }
    Ok(())
}

/// Copies a file and leaves blocks of zeros out, of which a journal has up to 64 MiB.
fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    let (mut source, mut copy) = (File::open(from)?, File::create(to)?);
    let mut block = vec![0; 1 << 18];
    let mut length = 0;
    loop {
        let read = source.read(&mut block)?;
        if read == 0 {
            return copy.set_len(length);
        }
        if block[..read].iter().any(|byte| *byte != 0) {
            copy.seek(SeekFrom::Start(length))?;
            copy.write_all(&block[..read])?;
        }
        length += u64::try_from(read).expect("a block has fewer than 2^64 bytes");
    }
}

/// Gives the copy of the journals its lasting name, and gives that, or `None` when there is none.
fn keep_copy(folder: &Folder, copy: &Path) -> Option<PathBuf> {
    let name = |number| folder.path.join(format!("set-aside-{number}"));
    let free = (1..=ASIDE_MAX).map(name).find(|path| !path.exists())?;
    match fs::rename(copy, &free).and_then(|()| sync_folder(&folder.path)) {
        Ok(()) => Some(free),
        Err(_) => copy.exists().then(|| copy.to_owned()),
    }
}

fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file, and a rename is durable by itself.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

impl Folder {
    /// Sets space aside for opening the engine.
    pub(super) fn reserve(&self, bytes: u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let path = self.path.join(RESERVE);
        let file = File::create(&path)?;
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            // This file system cannot: an engine that does not open while it is full waits.
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            Err(error) => {
                // A part of it would only take space away.
                fs::remove_file(&path).ok();
                Err(error.into())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Gives the space back, for the engine to be opened.
    pub(super) fn free_reserve(&self) {
        fs::remove_file(self.path.join(RESERVE)).ok();
    }

    /// Tries out whether there is less space than the engine's background work may need, by
    /// taking it for a moment. Nothing else tells: the engine removes what it could not finish.
    pub(super) fn disk_is_full(&self) -> bool {
        let path = self.path.join(PROBE);
        let probe = || {
            let (mut file, block) = (File::create(&path)?, vec![1; PROBE_BLOCK_BYTES]);
            (0..PROBE_BLOCKS).try_for_each(|_| file.write_all(&block))
        };
        let full = probe().is_err_and(|error| is_full(&error));
        fs::remove_file(&path).ok();
        full
    }
}

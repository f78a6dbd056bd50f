//! The files of a model: in a folder, or in the folder of what the hub gave.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastembed::TokenizerFiles;

use crate::onnx::{Model, OnnxError, Place, hub};

/// More tokens of a text take time by their square and gain nothing for turns and chunks.
const TOKENS_MAX: usize = 512;
/// The longest that a name for people is in a key.
const NAME_BYTES_MAX: usize = 32;
/// The file of the model in a folder.
const MODEL: &str = "model.onnx";
/// Weights that are too large for the model's own file lie beside it, under one of these.
const EXTERNAL: [&str; 2] = ["model.onnx_data", "model.onnx.data"];
/// Files of the tokenizer, in every folder and every repository.
pub(super) const TOKENIZER: [&str; 4] =
    ["tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"];

/// Where the files lie, and those that are small.
#[derive(Debug)]
pub struct Files {
    model: PathBuf,
    external: Vec<PathBuf>,
    /// What the tokenizer is made of.
    pub tokenizer: TokenizerFiles,
}

impl Files {
    /// Finds the files of a model, and fetches what is missing of one of the hub. It takes as long
    /// as that does; a hub that is silent is given up.
    ///
    /// # Errors
    /// [`OnnxError::Lacks`], [`OnnxError::Fetch`], [`OnnxError::Unread`].
    pub fn find(model: &Model, place: &Place) -> Result<Self, OnnxError> {
        match model {
            Model::Folder(folder) => Self::of_folder(folder),
            Model::Hub { repository, file, external } => {
                let own = [file.as_str()].into_iter().chain(external.iter().map(String::as_str));
                let mut paths = hub::fetch(repository, own.chain(TOKENIZER), place)?;
                let tokenizer = paths.split_off(1 + external.len());
                let external = paths.split_off(1);
                let model = paths.pop().expect("it comes first");
                Ok(Self { model, external, tokenizer: read_tokenizer(&tokenizer)? })
            }
        }
    }

    fn of_folder(folder: &Path) -> Result<Self, OnnxError> {
        let wanted = [MODEL].into_iter().chain(TOKENIZER);
        let missing = wanted.filter(|name| !folder.join(name).is_file());
        let files: Vec<String> = missing.map(str::to_owned).collect();
        if !files.is_empty() {
            let why = "(what a folder must hold: docs/embedding.md)".to_owned();
            return Err(OnnxError::Lacks { place: folder.to_owned(), files, why });
        }
        let external = EXTERNAL.map(|name| folder.join(name));
        let external = external.into_iter().filter(|path| path.is_file()).collect();
        let tokenizer = read_tokenizer(&TOKENIZER.map(|name| folder.join(name)))?;
        Ok(Self { model: folder.join(MODEL), external, tokenizer })
    }

    /// How many tokens of a text count: as many as are wanted, and as the model has places for.
    pub fn tokens_max(&self, wanted: Option<usize>) -> usize {
        let most = wanted.unwrap_or(TOKENS_MAX);
        let config: serde_json::Value =
            serde_json::from_slice(&self.tokenizer.config_file).unwrap_or_default();
        let places = config["max_position_embeddings"].as_u64();
        let Some(places) = places.and_then(|places| usize::try_from(places).ok()) else {
            return most;
        };
        // These models count places from 2 on.
        let shifted = ["roberta", "camembert", "mpnet"];
        let kind = config["model_type"].as_str().unwrap_or_default();
        let taken = if shifted.iter().any(|name| kind.contains(name)) { 2 } else { 0 };
        most.min(places.saturating_sub(taken)).max(2)
    }

    /// The path of the model; weights of other files lie where they lay when it was written.
    pub fn model(&self) -> &Path {
        &self.model
    }

    /// The bytes of the model.
    ///
    /// # Errors
    /// [`OnnxError::Unread`].
    pub fn read_model(&self) -> Result<Vec<u8>, OnnxError> {
        read(&self.model)
    }

    /// The weights that lie beside it: their names in the model, and their bytes.
    ///
    /// # Errors
    /// [`OnnxError::Unread`].
    pub fn read_external(&self) -> Result<Vec<(String, Vec<u8>)>, OnnxError> {
        let read = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, read(path)?))
        };
        self.external.iter().map(read).collect()
    }

    /// Names the model by its files and by the settings that change what it says, for people by
    /// `name` too: ASCII, 1 to 64 bytes.
    ///
    /// # Errors
    /// [`OnnxError::Unread`].
    pub fn key(&self, name: &str, settings: &str) -> Result<String, OnnxError> {
        let mut hasher = blake3::Hasher::new();
        self.hash(&mut hasher)?;
        hasher.update(settings.as_bytes());
        let fits = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
        let name: String = name.chars().filter(fits).take(NAME_BYTES_MAX).collect();
        Ok(format!("fastembed-{name}-{}", &hasher.finalize().to_hex()[..16]))
    }

    /// Hashes every byte that its output depends on.
    fn hash(&self, hasher: &mut blake3::Hasher) -> Result<(), OnnxError> {
        for path in [&self.model].into_iter().chain(&self.external) {
            let file = fs::File::open(path);
            let hashed = file.and_then(|file| hasher.update_reader(file).map(|_| ()));
            hashed.map_err(|error| unread(path, error))?;
        }
        let TokenizerFiles {
            tokenizer_file,
            config_file,
            special_tokens_map_file,
            tokenizer_config_file,
        } = &self.tokenizer;
        for bytes in [tokenizer_file, config_file, special_tokens_map_file, tokenizer_config_file] {
            hasher.update(bytes);
        }
        Ok(())
    }
}

/// Reads the files of a tokenizer, in the order of their names.
fn read_tokenizer(paths: &[PathBuf]) -> Result<TokenizerFiles, OnnxError> {
    Ok(TokenizerFiles {
        tokenizer_file: read(&paths[0])?,
        config_file: read(&paths[1])?,
        special_tokens_map_file: read(&paths[2])?,
        tokenizer_config_file: read(&paths[3])?,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, OnnxError> {
    fs::read(path).map_err(|error| unread(path, error))
}

fn unread(path: &Path, error: std::io::Error) -> OnnxError {
    OnnxError::Unread { path: path.to_owned(), source: Arc::new(error) }
}

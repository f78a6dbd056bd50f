//! Where ONNX Runtime and the models that it runs are: `onnx.…`.

use std::path::PathBuf;

use crate::config::{Reader, boolean, path};

/// The settings `onnx.…`; what they do stands in the table of settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnnxSettings {
    /// ONNX Runtime, or the folder it lies in; `None`: where it usually lies.
    pub library: Option<PathBuf>,
    /// Where fetched models are kept; `None`: in the data folder.
    pub models: Option<PathBuf>,
    /// Whether nothing is fetched.
    pub offline: bool,
}

impl OnnxSettings {
    pub(super) fn read(read: &mut Reader<'_>) -> Self {
        Self {
            library: read.value("onnx.library", path),
            models: read.value("onnx.models", path),
            offline: read.value("onnx.offline", boolean).unwrap_or_default(),
        }
    }
}

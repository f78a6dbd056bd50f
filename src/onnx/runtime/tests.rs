//! Where the library is looked for, and what is said when it is not there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::onnx::runtime::{LIBRARY, find};

/// A folder with empty files.
fn folder(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|file| fs::write(folder.path().join(file), "").unwrap());
    folder
}

fn found(told: Option<&Path>, variable: Option<&Path>, folders: &[PathBuf]) -> String {
    let variable = variable.map(|path| OsString::from(path.as_os_str()));
    match find(told, variable, folders) {
        Ok(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_file_is_taken_and_a_folder_is_looked_through() {
    let (plain, versioned) = (LIBRARY.to_owned(), format!("{LIBRARY}.1.24.0"));
    let both = folder(&[&versioned, &plain, "libonnxruntime_providers_shared.so", "other.so"]);
    assert_eq!(found(Some(both.path()), None, &[]), plain);
    assert_eq!(found(Some(&both.path().join(&versioned)), None, &[]), versioned);
    let one = folder(&[&versioned, "other.so"]);
    assert_eq!(found(Some(one.path()), None, &[]), versioned);
}

#[test]
fn the_setting_goes_before_the_variable_and_that_before_the_folders() {
    let names = [1, 2, 3].map(|version| format!("{LIBRARY}.{version}"));
    let [told, variable, other] = [0, 1, 2].map(|at| folder(&[&names[at]]));
    let empty = folder(&[]);
    let folders = [empty.path().to_owned(), other.path().to_owned()];
    assert_eq!(found(Some(told.path()), Some(variable.path()), &folders), names[0]);
    assert_eq!(found(None, Some(variable.path()), &folders), names[1]);
    assert_eq!(found(None, None, &folders), names[2]);
    assert_eq!(found(None, Some(Path::new("")), &folders), names[2]);
}

#[test]
fn where_it_is_not_is_said_with_the_setting_and_the_step_that_gets_it() {
    let empty = folder(&["libonnxruntime_providers_shared.so.1"]);
    let here = [empty.path().to_owned()];
    let told = found(Some(Path::new("/nowhere/lib.so")), None, &here);
    assert!(told.contains("at `/nowhere/lib.so` (`onnx.library`)"), "{told}");
    let variable = found(None, Some(Path::new("/nowhere")), &here);
    assert!(variable.contains("at `/nowhere` (ORT_DYLIB_PATH)"), "{variable}");
    let looked = found(None, None, &here);
    assert!(looked.contains(&format!("in {}", empty.path().display())), "{looked}");
    for text in [told, variable, looked] {
        assert!(text.contains("set `onnx.library`"), "{text}");
        assert!(text.contains("models/onnx/runtime"), "{text}");
    }
}

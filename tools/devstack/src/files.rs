//! Folders, and what is in them.

use std::path::{Path, PathBuf};

use fs_err as fs;
use walkdir::WalkDir;

use crate::error::Result;

/// What a folder holds, by name.
pub fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Every file in a folder and the folders in it.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(std::io::Error::from)?;
        if !entry.file_type().is_dir() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// Makes the folder of a file that is to be written.
pub fn make_folder_of(file: &Path) -> Result<()> {
    Ok(fs::create_dir_all(file.parent().unwrap_or(file))?)
}

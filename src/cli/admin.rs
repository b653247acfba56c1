//! The operators' page: what is configured about it, and the files of a page of one's own.

use std::fs;
use std::path::Path;

use super::options;
use crate::admin::{Admin, FOLDER_BYTES_MAX, FOLDER_FILES_MAX, Options, OwnFile};
use crate::config::Config;

/// The page, when it is on.
///
/// # Errors
/// The folder of `admin.web_path` cannot be read or is too large, as text for a person.
pub(super) fn page(config: &Config) -> Result<Option<Admin>, String> {
    let admin = &config.admin;
    if !admin.enabled {
        return Ok(None);
    }
    let folder = Path::new(&admin.web_path);
    let files = if admin.web_path.is_empty() { None } else { Some(read(folder)?) };
    Ok(Some(Admin::new(Options {
        prefix: admin.handler_prefix.trim_end_matches('/').to_owned(),
        password: admin.password.expose().to_owned(),
        secret: admin.secret.expose().to_owned(),
        insecure: admin.insecure,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: options::api(config),
        api_prefix: (!config.http_api.disabled).then(|| config.http_api.handler_prefix.clone()),
        files,
    })))
}

/// Every file below the folder, read once: a shard waits for no disk.
fn read(folder: &Path) -> Result<Vec<OwnFile>, String> {
    let failed = |path: &Path, cause| format!("admin.web_path: {} {cause}", path.display());
    let (mut files, mut bytes) = (Vec::new(), 0);
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        let about = fs::metadata(&path).map_err(|cause| failed(&path, cause.to_string()))?;
        if about.is_dir() {
            let entries = fs::read_dir(&path).map_err(|cause| failed(&path, cause.to_string()))?;
            for entry in entries {
                todo.push(entry.map_err(|cause| failed(&path, cause.to_string()))?.path());
            }
        } else {
            bytes += about.len();
            if files.len() == FOLDER_FILES_MAX || bytes > FOLDER_BYTES_MAX {
                let limits = format!("{FOLDER_FILES_MAX} files or {FOLDER_BYTES_MAX} bytes");
                return Err(failed(folder, format!("holds more than {limits}")));
            }
            let body = fs::read(&path).map_err(|cause| failed(&path, cause.to_string()))?;
            let below = path.strip_prefix(folder).unwrap_or(&path);
            files.push(OwnFile { path: below.to_string_lossy().into_owned(), body });
        }
    }
    if files.iter().any(|file| file.path == "index.html") {
        return Ok(files);
    }
    Err(failed(folder, "holds no index.html".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(folder: &Path) -> Result<Option<Admin>, String> {
        let mut config = Config::default();
        config.admin.enabled = true;
        config.admin.web_path = folder.to_str().unwrap().to_owned();
        page(&config)
    }

    #[test]
    fn a_folder_is_served_with_what_lies_below_it() {
        let folder = tempfile::tempdir().unwrap();
        let no_index = configured(folder.path()).unwrap_err();
        assert!(no_index.ends_with("holds no index.html"), "{no_index}");
        fs::write(folder.path().join("index.html"), "page").unwrap();
        fs::create_dir(folder.path().join("vendor")).unwrap();
        fs::write(folder.path().join("vendor/a.js"), "a").unwrap();
        let admin = configured(folder.path()).unwrap().expect("it is on");
        for path in ["/", "/index.html", "/vendor/a.js", "/openapi.json"] {
            assert!(admin.route(path).is_some(), "{path}");
        }
        assert!(admin.route("/app.js").is_none(), "built in");
        for number in 0..=FOLDER_FILES_MAX {
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        let too_many = configured(folder.path()).unwrap_err();
        assert!(too_many.contains("holds more than 1000 files"), "{too_many}");
        let none = configured(&folder.path().join("none")).unwrap_err();
        assert!(none.contains("No such file"), "{none}");
    }
}

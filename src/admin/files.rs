//! The files of the page: built in, or those of a folder that an operator names.

use crate::api;
use crate::wire::http1::File;

macro_rules! built_in {
    ($($path:literal)*) => {
        &[$(($path, include_bytes!(concat!("web/", $path)))),*]
    };
}

/// Every file of the page by its path below the prefix; a new one is one line here. `index.html` is
/// what stands at the prefix itself.
const BUILT_IN: &[(&str, &[u8])] = built_in![
    "index.html"
    "api.js"
    "app.css"
    "app.js"
    "card.js"
    "chart.js"
    "close.js"
    "console.js"
    "device.js"
    "favicon.svg"
    "filters.js"
    "form.js"
    "format.js"
    "groups.js"
    "html.js"
    "icons.js"
    "json.js"
    "keepout.js"
    "list.js"
    "live.js"
    "login.js"
    "mark.js"
    "node.js"
    "notice.js"
    "overview.js"
    "route.js"
    "screens.css"
    "selector.js"
    "sessions.js"
    "store.js"
    "theme.js"
    "ui.js"
    "user.js"
    "vendor/LICENSE-htm.txt"
    "vendor/LICENSE-preact.txt"
    "vendor/LICENSE-uplot.txt"
    "vendor/README.md"
    "vendor/hooks.js"
    "vendor/htm.js"
    "vendor/preact.js"
    "vendor/uplot.css"
    "vendor/uplot.js"
];

/// Files of a folder that are served; with one more the server does not start.
pub const FOLDER_FILES_MAX: usize = 1_000;

/// Bytes of those files together; with more the server does not start.
pub const FOLDER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A file of an operator's own page.
#[derive(Clone, Debug)]
pub struct OwnFile {
    /// Its path below the folder, with slashes.
    pub path: String,
    /// What is in it.
    pub body: Vec<u8>,
}

pub(super) struct Files(Vec<(String, File)>);

impl Files {
    /// Those that are built in. Whoever has a key reaches the API at `api_prefix`, when it says where.
    pub(super) fn built_in(api_prefix: Option<&str>) -> Self {
        let file = |(path, body): &(&str, &'static [u8])| {
            ((*path).to_owned(), File::new(content_type(path), *body))
        };
        Self::with_document(BUILT_IN.iter().map(file), api_prefix)
    }

    /// Those of an operator, likewise.
    pub(super) fn own(files: Vec<OwnFile>, api_prefix: Option<&str>) -> Self {
        let file = |OwnFile { path, body }| {
            let file = File::new(content_type(&path), body);
            (path, file)
        };
        Self::with_document(files.into_iter().map(file), api_prefix)
    }

    /// What describes the API stands beside every page.
    fn with_document(
        files: impl Iterator<Item = (String, File)>,
        api_prefix: Option<&str>,
    ) -> Self {
        let urls: Vec<_> = std::iter::once("admin/api").chain(api_prefix).collect();
        let document = File::new("application/json", api::document(&urls));
        Self(files.chain([("openapi.json".to_owned(), document)]).collect())
    }

    /// The file at this path below the prefix and its slash.
    pub(super) fn at(&self, path: &str) -> Option<&File> {
        let path = if path.is_empty() { "index.html" } else { path };
        self.0.iter().find(|(known, _)| known == path).map(|(_, file)| file)
    }
}

/// By its last letters; a browser takes a script or a style of another type for nothing.
fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript",
        "css" => "text/css",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served_and_of_a_known_type() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/web");
        let (mut found, mut todo) = (BTreeSet::new(), vec![folder.clone()]);
        while let Some(path) = todo.pop() {
            if path.is_dir() {
                todo.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let path = path.strip_prefix(&folder).unwrap();
                found.insert(path.to_str().unwrap().to_owned());
            }
        }
        let served: BTreeSet<_> = BUILT_IN.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(served, found);
        for path in served {
            assert_ne!(content_type(&path), "application/octet-stream", "{path}");
        }
    }

    #[test]
    fn the_page_stands_at_the_prefix_itself() {
        let files = Files::built_in(None);
        let page = files.at("").unwrap();
        assert_eq!(page.body(), include_bytes!("web/index.html"));
        assert!(files.at("openapi.json").is_some());
        for path in ["/", "index", "web/app.js", "../files.rs", "app.js/"] {
            assert!(files.at(path).is_none(), "{path}");
        }
    }
}

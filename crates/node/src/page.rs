//! The embedded page: the same files for edge and region, made from `web/src`, no request off the
//! host.
//!
//! What always holds: a file's tag is of its content, so a browser that has it is sent nothing, and
//! one that has an older one is never left with it.

use std::io::Write;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;

/// One file of the page.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    /// Path under `/`, without the slash.
    pub(crate) path: &'static str,
    /// Media type.
    pub(crate) media: &'static str,
    /// Content.
    pub(crate) bytes: &'static [u8],
    /// The same as gzip.
    pub(crate) packed: Vec<u8>,
    /// Its entity tag.
    pub(crate) tag: String,
}

/// The page may load and talk to its own host alone, and runs no script but its own files.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
img-src 'self' data:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page itself; `%ROLE%` and `%RIG%` stand for the role and name it shows.
pub(crate) const INDEX: &str = include_str!("../../../web/dist/index.html");

macro_rules! files {
    ($($path:literal: $media:expr,)*) => {
        const FILES: &[(&str, &str, &[u8])] = &[$((
            $path,
            $media,
            include_bytes!(concat!("../../../web/dist/", $path)),
        ),)*];
    };
}

files! {
    "app.js": SCRIPT,
    "sw.js": SCRIPT,
    "app.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "manifest.webmanifest": "application/manifest+json",
}

/// Everything the page loads, packed once in the life of the process.
pub(crate) static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let asset = |&(path, media, bytes): &(&'static str, &'static str, &'static [u8])| Asset {
        path,
        media,
        bytes,
        packed: gzip(bytes),
        tag: format!("\"{}\"", &blake3::hash(bytes).to_hex()[..32]),
    };
    FILES.iter().map(asset).collect()
});

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    let packed = packer.write_all(bytes).and_then(|()| packer.finish());
    packed.expect("memory takes what is written to it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_its_role_and_loads_files_that_are_here() {
        assert!(INDEX.contains("content=\"%ROLE%\"") && INDEX.contains("content=\"%RIG%\""));
        let named = INDEX
            .split(['"', '\''])
            .filter_map(|part| part.strip_prefix("./"));
        let mut named: Vec<_> = named.collect();
        named.sort_unstable();
        assert_eq!(
            named,
            ["app.css", "app.js", "icon.svg", "manifest.webmanifest"]
        );
        for name in named {
            assert!(ASSETS.iter().any(|asset| asset.path == name), "{name}");
        }
    }

    #[test]
    fn no_file_runs_text_as_code_or_calls_another_host() {
        assert!(!INDEX.contains("<script>") && !INDEX.contains("onload="));
        for asset in ASSETS.iter() {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            for word in ["eval(", "new Function", "innerHTML=", "document.write"] {
                // The library that draws elements can set markup when it is asked to; nothing asks.
                let known = word == "innerHTML=" && !text.contains("dangerouslySetInnerHTML:");
                assert!(known || !text.contains(word), "{}: {word}", asset.path);
            }
            assert!(
                asset.packed.len() < asset.bytes.len() + 32,
                "{}",
                asset.path
            );
        }
    }
}

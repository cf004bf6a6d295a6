//! The embedded page: the same files for edge and region, no build step, no request off the host.

/// One file of the page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset {
    /// Path under `/`, without the slash.
    pub(crate) path: &'static str,
    /// Media type.
    pub(crate) media: &'static str,
    /// Content.
    pub(crate) text: &'static str,
}

/// The page may load and talk to its own host alone, and runs no script but its own files.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
frame-ancestors 'none'; require-trusted-types-for 'script'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The page itself; `%ROLE%` and `%RIG%` stand for the role and name it shows.
pub(crate) const INDEX: &str = include_str!("../../../web/page/index.html");

macro_rules! assets {
    ($($path:literal: $media:expr,)*) => {
        /// Everything the page loads.
        pub(crate) const ASSETS: &[Asset] = &[$(Asset {
            path: $path,
            media: $media,
            text: include_str!(concat!("../../../web/page/", $path)),
        },)*];
    };
}

assets! {
    "app.js": SCRIPT,
    "chart.js": SCRIPT,
    "data.js": SCRIPT,
    "dom.js": SCRIPT,
    "fmt.js": SCRIPT,
    "parts.js": SCRIPT,
    "say.js": SCRIPT,
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}

//! The embedded page: the same files for edge and region, no build step, no request off the host.

/// One file of the page.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Path under `/`, without the slash; the page itself is empty.
    pub path: &'static str,
    /// Media type.
    pub media: &'static str,
    /// Content.
    pub text: &'static str,
}

/// The page may load and talk to its own host alone, and runs no script but its own files.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
frame-ancestors 'none'; require-trusted-types-for 'script'";

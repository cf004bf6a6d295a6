//! Content encodings, bounded while inflating.

use std::borrow::Cow;
use std::io::Read;

use popwatch_core::code::Code;
use popwatch_core::limits::REQUEST_BYTES_MAX;

use crate::problem::Problem;

/// Largest window of a zstd frame, as a power of two: what a decoder may have to hold.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The body without its encoding, at most [`REQUEST_BYTES_MAX`] bytes.
pub(crate) fn inflate<'a>(
    encoding: Option<&str>,
    body: &'a [u8],
) -> Result<Cow<'a, [u8]>, Problem> {
    if body.len() > REQUEST_BYTES_MAX {
        return Err(too_large());
    }
    let encoding = encoding.unwrap_or_default().trim();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        Ok(Cow::Borrowed(body))
    } else if encoding.eq_ignore_ascii_case("gzip") || encoding.eq_ignore_ascii_case("x-gzip") {
        bounded(flate2::read::MultiGzDecoder::new(body), "gzip").map(Cow::Owned)
    } else if encoding.eq_ignore_ascii_case("zstd") {
        let mut decoder = zstd::stream::read::Decoder::new(body).map_err(|_| damaged("zstd"))?;
        decoder
            .window_log_max(ZSTD_WINDOW_LOG_MAX)
            .map_err(|_| damaged("zstd"))?;
        bounded(decoder, "zstd").map(Cow::Owned)
    } else {
        Err(Problem::new(
            Code::MediaTypeUnsupported,
            "the Content-Encoding must be identity, gzip or zstd; send the body in one of them",
        ))
    }
}

fn bounded(decoder: impl Read, what: &str) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::new();
    let bound = u64::try_from(REQUEST_BYTES_MAX).expect("a bound of a body fits 64 bits");
    decoder
        .take(bound + 1)
        .read_to_end(&mut out)
        .map_err(|_| damaged(what))?;
    if out.len() > REQUEST_BYTES_MAX {
        return Err(too_large());
    }
    Ok(out)
}

fn damaged(what: &str) -> Problem {
    Problem::new(
        Code::BodyUnparsable,
        format!("the body is no whole {what} stream; send it again with the same event ids"),
    )
}

fn too_large() -> Problem {
    Problem::new(
        Code::BodyTooLarge,
        format!(
            "a request may have {} MiB inflated; send fewer events at once",
            REQUEST_BYTES_MAX >> 20
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(plain: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(plain, 1).unwrap()
    }

    #[test]
    fn each_encoding_inflates_and_a_torn_stream_is_named() {
        assert_eq!(&*inflate(None, b"plain").unwrap(), b"plain");
        assert_eq!(&*inflate(Some("GZIP"), &gzip(b"plain")).unwrap(), b"plain");
        assert_eq!(
            &*inflate(Some(" zstd "), &zstd(b"plain")).unwrap(),
            b"plain"
        );
        for (name, whole) in [("gzip", gzip(b"plain")), ("zstd", zstd(b"plain"))] {
            let torn = inflate(Some(name), &whole[..whole.len() - 3]).unwrap_err();
            assert_eq!(torn.code, Code::BodyUnparsable);
        }
        let other = inflate(Some("br"), b"").unwrap_err();
        assert_eq!(
            (other.code, other.status),
            (Code::MediaTypeUnsupported, 415)
        );
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        let zeros = vec![0; REQUEST_BYTES_MAX + 1];
        for (name, body) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))] {
            assert!(body.len() < 20_000);
            assert_eq!(inflate(Some(name), &body).unwrap_err().status, 413);
            let fits = match name {
                "gzip" => gzip(&zeros[1..]),
                _ => zstd(&zeros[1..]),
            };
            assert_eq!(inflate(Some(name), &fits).unwrap().len(), REQUEST_BYTES_MAX);
        }
        assert_eq!(inflate(None, &zeros).unwrap_err().code, Code::BodyTooLarge);
    }
}

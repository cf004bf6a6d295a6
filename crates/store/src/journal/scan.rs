//! Reads a segment's body frame by frame, whatever happened to it.
//!
//! ```text
//! ok ok ok ▒▒▒▒ FIRST ok …   hole: a commit was begun after the bad bytes, so what stood in them
//!                            was acknowledged or could have been; both sides are kept
//! ok ok ok ▒▒▒▒ ok ▒▒ 0000   torn: no commit was begun after the bad bytes, so the one they
//!                            belong to was never acknowledged; the prefix is kept
//! ```
//!
//! Where the end of the body is known (a footer, an earlier life), nothing is torn: every sound frame
//! counts and all that is missing lies in holes.
//!
//! What always holds: seqs of kept frames rise; every seq between two of them lies in a hole; no
//! byte sequence panics, and a frame is only believed with both crcs.
#![deny(clippy::indexing_slicing)]

use popwatch_core::id::{Epoch, EpochId, Seq};

use super::format::{BODY_AT, FrameFault, FrameHeader, FrameKind, HeaderSeed, read_frame};

/// A sound frame and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameAt {
    /// Offset of its header.
    pub at: u64,
    /// Its header.
    pub header: FrameHeader,
}

/// Seqs that are missing between two kept frames, with the bytes they were lost in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// First missing seq.
    pub first: u64,
    /// Last missing seq.
    pub last: u64,
    /// Offset of the first bad byte.
    pub at: u64,
    /// Bad bytes.
    pub bytes: u64,
}

/// Bytes after the last kept frame that are neither zero nor a footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// Offset of the first.
    pub at: u64,
    /// How many, to the last that is not zero.
    pub bytes: u64,
    /// Seqs whose headers can still be read in them.
    pub seqs: Vec<u64>,
}

/// The shape of a body, as the recovery table asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Body {
    /// Frames, then nothing.
    Clean,
    /// Bad bytes with a commit after them.
    Holes,
    /// Bad bytes with no commit after them.
    Torn,
    /// No frame at all.
    Empty,
}

/// What a body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Kept frames, seqs rising.
    pub frames: Vec<FrameAt>,
    /// What is missing between and before them.
    pub holes: Vec<Hole>,
    /// Offset after the last kept frame.
    pub end: u64,
    /// What was cut.
    pub torn: Option<Torn>,
}

impl Scan {
    /// The shape of the body.
    #[must_use]
    pub fn body(&self) -> Body {
        if self.frames.is_empty() && self.holes.is_empty() {
            Body::Empty
        } else if !self.holes.is_empty() {
            Body::Holes
        } else if self.torn.is_some() {
            Body::Torn
        } else {
            Body::Clean
        }
    }

    /// The last seq that is kept or lies in a hole; one before `first_seq` when there is none.
    #[must_use]
    pub fn last_seq(&self, first_seq: Seq) -> Seq {
        let frame = self.frames.last().map(|frame| frame.header.seq.0);
        let hole = self.holes.last().map(|hole| hole.last);
        Seq(frame.max(hole).unwrap_or(first_seq.0.saturating_sub(1)))
    }
}

/// A stretch of bytes that is no frame.
struct Bad {
    at: u64,
    /// Frames kept before it.
    frames_before: usize,
    holes_before: usize,
    seqs: Vec<u64>,
}

struct Scanner<'a> {
    bytes: &'a [u8],
    epoch: Epoch,
    seed: HeaderSeed,
    last: u64,
    frames: Vec<FrameAt>,
    holes: Vec<Hole>,
    bad: Vec<Bad>,
    in_bad: bool,
    /// Where the body ends is known from elsewhere.
    closed: bool,
}

/// Scans the bytes of a segment without footer (from its very start) for frames of one epoch from
/// `first_seq` on. Where its body ends is found out.
#[must_use]
pub fn scan(bytes: &[u8], epoch: Epoch, epoch_id: &EpochId, first_seq: Seq) -> Scan {
    let mut scanner = Scanner::new(bytes, epoch, epoch_id, first_seq);
    scanner.walk();
    scanner.finish()
}

/// Scans a segment of which is known that its body ends with `bytes` and holds the seqs up to
/// `last_seq`: all of it was acknowledged. So every sound frame is kept, whatever is damaged beside
/// it, nothing is torn, and what is missing at the end is a hole too.
#[must_use]
pub fn scan_closed(
    bytes: &[u8],
    epoch: Epoch,
    epoch_id: &EpochId,
    first_seq: Seq,
    last_seq: Seq,
) -> Scan {
    let mut scanner = Scanner::new(bytes, epoch, epoch_id, first_seq);
    scanner.closed = true;
    scanner.walk();
    let end = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    scanner.gap_before(end, last_seq.0.saturating_add(1));
    Scan {
        frames: scanner.frames,
        holes: scanner.holes,
        end,
        torn: None,
    }
}

impl<'a> Scanner<'a> {
    fn new(bytes: &'a [u8], epoch: Epoch, epoch_id: &EpochId, first_seq: Seq) -> Self {
        Self {
            bytes,
            epoch,
            seed: HeaderSeed::new(epoch_id),
            last: first_seq.0.saturating_sub(1),
            frames: Vec::new(),
            holes: Vec::new(),
            bad: Vec::new(),
            in_bad: false,
            closed: false,
        }
    }

    fn walk(&mut self) {
        let mut at = BODY_AT;
        while let Some(next) = self.step(at) {
            at = next;
        }
    }

    fn rest(&self, at: u64) -> &'a [u8] {
        usize::try_from(at)
            .ok()
            .and_then(|at| self.bytes.get(at..))
            .unwrap_or_default()
    }

    /// Looks at one offset; answers the next one, `None` at the end.
    fn step(&mut self, at: u64) -> Option<u64> {
        let rest = self.rest(at);
        if rest.is_empty() {
            return None;
        }
        let ours = |header: &FrameHeader| header.epoch == self.epoch;
        match read_frame(rest, self.seed) {
            Ok((header, _)) if ours(&header) && header.kind == FrameKind::Footer => {
                self.footer(at, header);
                None
            }
            Ok((header, _)) if ours(&header) && header.seq.0 > self.last => {
                self.keep(at, header);
                Some(at + header.stride())
            }
            Ok(_) => {
                self.mark(at, None);
                Some(at + 8)
            }
            Err(FrameFault::Payload) => self.payload_lost(at, rest),
            Err(FrameFault::Header | FrameFault::Short) => {
                if !self.in_bad && rest.iter().all(|byte| *byte == 0) {
                    return None;
                }
                self.mark(at, None);
                Some(at + 8)
            }
        }
    }

    /// The header is sound, so the next frame's place is known even though this one is lost.
    fn payload_lost(&mut self, at: u64, rest: &[u8]) -> Option<u64> {
        let (header, _) = FrameHeader::read(rest, self.seed).ok()?;
        if header.epoch != self.epoch {
            self.mark(at, None);
            return Some(at + 8);
        }
        if header.kind == FrameKind::Footer {
            self.footer(at, header);
            return None;
        }
        self.mark(at, Some(header.seq.0));
        let next = at + header.stride();
        let sound = FrameHeader::read(self.rest(next), self.seed).is_ok();
        // A torn write can leave a header with nothing behind it: then each step is looked at.
        Some(if sound { next } else { at + 8 })
    }

    fn mark(&mut self, at: u64, seq: Option<u64>) {
        if !self.in_bad {
            self.in_bad = true;
            self.bad.push(Bad {
                at,
                frames_before: self.frames.len(),
                holes_before: self.holes.len(),
                seqs: Vec::new(),
            });
        }
        if let (Some(seq), Some(bad)) = (seq, self.bad.last_mut()) {
            bad.seqs.push(seq);
        }
    }

    fn gap_before(&mut self, at: u64, seq: u64) {
        if seq > self.last + 1 {
            let from = match (self.in_bad, self.bad.last()) {
                (true, Some(bad)) => bad.at,
                _ => at,
            };
            self.holes.push(Hole {
                first: self.last + 1,
                last: seq - 1,
                at: from,
                bytes: at - from,
            });
        }
        self.in_bad = false;
    }

    fn keep(&mut self, at: u64, header: FrameHeader) {
        self.gap_before(at, header.seq.0);
        self.last = header.seq.0;
        self.frames.push(FrameAt { at, header });
    }

    /// A footer is written with the seal before it, in one commit; it proves that everything before
    /// that seal was committed.
    fn footer(&mut self, at: u64, header: FrameHeader) {
        if self.last < header.seq.0 && self.last + 1 >= header.seq.0 {
            self.mark(at, None);
            return;
        }
        self.gap_before(at, header.seq.0);
        self.bad.clear();
    }

    fn finish(mut self) -> Scan {
        let mut cut = None;
        while let Some(bad) = self.bad.pop() {
            let after = self.frames.get(bad.frames_before..).unwrap_or_default();
            if after.iter().any(|frame| frame.header.is_first()) {
                break;
            }
            cut = Some(bad);
        }
        let torn = cut.map(|bad| self.cut(bad));
        let end = match (&torn, self.frames.last()) {
            (Some(torn), _) => torn.at,
            (None, Some(frame)) => frame.at + frame.header.stride(),
            (None, None) => BODY_AT,
        };
        Scan {
            frames: self.frames,
            holes: self.holes,
            end,
            torn,
        }
    }

    fn cut(&mut self, bad: Bad) -> Torn {
        let mut seqs = bad.seqs;
        let cut = self.frames.drain(bad.frames_before..);
        seqs.extend(cut.map(|frame| frame.header.seq.0));
        seqs.sort_unstable();
        self.holes.truncate(bad.holes_before);
        let rest = self.rest(bad.at);
        let used = rest
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        Torn {
            at: bad.at,
            bytes: u64::try_from(used).unwrap_or(u64::MAX),
            seqs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::format::{FLAG_FIRST, padded};
    use popwatch_core::event::Class;

    const ID: EpochId = EpochId([9; 16]);

    /// `F` first of a commit, `r` inner record; every payload is 40 bytes.
    fn body(frames: &str) -> Vec<u8> {
        let mut out = vec![0; 8192];
        for (index, kind) in frames.chars().enumerate() {
            let payload = [u8::try_from(index).unwrap(); 40];
            let header = FrameHeader {
                kind: FrameKind::Record,
                class: Class::Money,
                flags: if kind == 'F' { FLAG_FIRST } else { 0 },
                len: 40,
                epoch: Epoch(1),
                seq: Seq(u64::try_from(index).unwrap() + 1),
            };
            out.extend_from_slice(&header.encode(&payload, HeaderSeed::new(&ID)));
            out.extend_from_slice(&payload);
            out.resize(padded(out.len()), 0);
        }
        out.resize(out.len() + 256, 0);
        out
    }

    #[test]
    fn what_is_known_to_be_acknowledged_is_kept_beside_damage() {
        // The closing seal is lost, and the first record of the commit before it.
        let mut bytes = body("FrFrF");
        for at in [72 * 2, 72 * 4] {
            bytes[8192 + at] ^= 0x10;
        }
        let kept = |scan: &Scan| -> Vec<_> {
            let frames = scan.frames.iter();
            frames.map(|frame| frame.header.seq.0).collect()
        };
        let open = scan(&bytes, Epoch(1), &ID, Seq(1));
        assert_eq!((kept(&open), open.holes.len()), (vec![1, 2], 0));
        let body = &bytes[..8192 + 72 * 5];
        let closed = scan_closed(body, Epoch(1), &ID, Seq(1), Seq(5));
        assert_eq!(kept(&closed), [1, 2, 4]);
        let holes = closed.holes.iter();
        let holes: Vec<_> = holes.map(|hole| (hole.first, hole.last)).collect();
        assert_eq!(holes, [(3, 3), (5, 5)]);
        assert_eq!(closed.torn, None);
    }

    #[track_caller]
    fn check(frames: &str, damage: &[usize], expect: Body, kept: &[u64], holes: &[(u64, u64)]) {
        let mut bytes = body(frames);
        for at in damage {
            bytes[8192 + at] ^= 0x10;
        }
        let scan = scan(&bytes, Epoch(1), &ID, Seq(1));
        assert_eq!(scan.body(), expect);
        let seqs: Vec<_> = scan.frames.iter().map(|frame| frame.header.seq.0).collect();
        assert_eq!(seqs, kept);
        let found: Vec<_> = scan
            .holes
            .iter()
            .map(|hole| (hole.first, hole.last))
            .collect();
        assert_eq!(found, holes);
    }

    #[test]
    fn bodies_have_one_of_four_shapes() {
        check("", &[], Body::Empty, &[], &[]);
        check("FrFr", &[], Body::Clean, &[1, 2, 3, 4], &[]);
        check("FrFr", &[72 + 40], Body::Holes, &[1, 3, 4], &[(2, 2)]);
        check("FrFr", &[72 + 4], Body::Holes, &[1, 3, 4], &[(2, 2)]);
        check("FrFr", &[144 + 40], Body::Torn, &[1, 2], &[]);
        check("FrFr", &[216 + 5], Body::Torn, &[1, 2, 3], &[]);
        check(
            "FFFF",
            &[40, 144 + 1],
            Body::Holes,
            &[2, 4],
            &[(1, 1), (3, 3)],
        );
        check("FFFF", &[40, 216 + 1], Body::Holes, &[2, 3], &[(1, 1)]);
        check("F", &[3], Body::Empty, &[], &[]);
        // Junk behind the end.
        check("FF", &[144 + 100], Body::Torn, &[1, 2], &[]);
    }

    #[test]
    fn a_cut_tail_names_the_headers_it_could_read() {
        let mut bytes = body("FrFrr");
        bytes[8192 + 144 + 40] ^= 1;
        let scan = scan(&bytes, Epoch(1), &ID, Seq(1));
        assert_eq!(scan.torn.unwrap().seqs, [3, 4, 5]);
    }

    proptest::proptest! {
        #[test]
        fn no_damage_panics_and_seqs_stay_dense(
            damage in proptest::collection::vec((0usize..720, 0u8..8), 0..12)
        ) {
            let mut bytes = body("FrFFrrFFFr");
            for (at, bit) in damage {
                bytes[8192 + at] ^= 1 << bit;
            }
            let scan = scan(&bytes, Epoch(1), &ID, Seq(1));
            let gaps: Vec<_> = scan.holes.iter().map(|hole| (hole.first, hole.last)).collect();
            let seqs = scan.frames.iter().map(|frame| frame.header.seq.0);
            let dense = popwatch_core::invariant::seqs_dense(scan.last_seq(Seq(1)).0, seqs, &gaps);
            proptest::prop_assert!(dense.is_ok(), "{dense:?}");
        }
    }
}

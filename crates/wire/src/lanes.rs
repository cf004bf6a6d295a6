//! The bodies of both lanes: a protobuf message in one zstd frame.
//!
//! What always holds: nothing is inflated past [`limits::BATCH_BYTES_MAX`], whatever the frame
//! claims; a decoded message has at most as many items as its bound and speaks
//! [`PROTOCOL`]; an encoder never makes a body that the decoder would refuse.

use popwatch_core::code::Code;
use popwatch_core::lane::{CellAck, CellBatch, PROTOCOL, RecordAck, RecordBatch};
use popwatch_core::limits;
use prost::Message;
use std::io::Read;

/// `Content-Type` of every body of both lanes.
pub const CONTENT_TYPE: &str = "application/x-protobuf";
/// `Content-Encoding` of every body of both lanes.
pub const CONTENT_ENCODING: &str = "zstd";
/// Header with the version of both lanes' messages.
pub const PROTOCOL_HEADER: &str = "popwatch-protocol";
/// Header with the name of the rig that sends.
pub const RIG_HEADER: &str = "popwatch-rig";

/// zstd's default, as fast as a rig's uplink needs.
const LEVEL: i32 = 3;
/// Largest window a sender may ask us to hold, as a power of two: the inflated bound itself.
const WINDOW_LOG_MAX: u32 = limits::BATCH_BYTES_MAX.ilog2();

/// Why a body of a lane was not taken or not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LaneFault {
    /// More compressed bytes than the bound.
    #[error("the compressed body has more than {max} bytes")]
    WireTooLarge {
        /// The bound.
        max: usize,
    },
    /// More inflated bytes than the bound.
    #[error("the inflated body has more than {max} bytes")]
    TooLarge {
        /// The bound.
        max: usize,
    },
    /// Not a whole zstd frame.
    #[error("the body is not one whole zstd frame")]
    Compression,
    /// Not the protobuf message of this route.
    #[error("the body is not the message of this route")]
    Message,
    /// More items or cells than the bound.
    #[error("the batch has {count} items, at most {max} are taken")]
    Items {
        /// How many it has.
        count: usize,
        /// The bound.
        max: usize,
    },
    /// Another version of the messages.
    #[error("lane protocol {got} is not spoken here, {PROTOCOL} is")]
    Protocol {
        /// The sender's version.
        got: u32,
    },
}

impl LaneFault {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Protocol { .. } => Code::ProtocolUnsupported,
            Self::WireTooLarge { .. }
            | Self::TooLarge { .. }
            | Self::Compression
            | Self::Message
            | Self::Items { .. } => Code::BatchInvalid,
        }
    }

    /// Whether the batch was too large (HTTP 413), so that a smaller one may pass.
    #[must_use]
    pub const fn is_too_large(self) -> bool {
        match self {
            Self::WireTooLarge { .. } | Self::TooLarge { .. } | Self::Items { .. } => true,
            Self::Compression | Self::Message | Self::Protocol { .. } => false,
        }
    }
}

/// A message that travels as the body of a lane.
pub trait LaneBody: Message + Default {
    /// Checks what the message alone can tell: version and number of items.
    fn check(&self) -> Result<(), LaneFault>;
}

impl LaneBody for RecordBatch {
    fn check(&self) -> Result<(), LaneFault> {
        check_protocol(self.protocol)?;
        check_items(self.items.len(), limits::BATCH_ITEMS_MAX)
    }
}

impl LaneBody for CellBatch {
    fn check(&self) -> Result<(), LaneFault> {
        check_protocol(self.protocol)?;
        check_items(self.cells.len(), limits::BATCH_CELLS_MAX)
    }
}

impl LaneBody for RecordAck {
    fn check(&self) -> Result<(), LaneFault> {
        check_items(self.not_ok.len(), limits::BATCH_ITEMS_MAX)
    }
}

impl LaneBody for CellAck {
    fn check(&self) -> Result<(), LaneFault> {
        check_items(self.refused.len(), limits::BATCH_CELLS_MAX)
    }
}

/// The body of a message. Fails where the receiver would refuse it.
pub fn encode<M: LaneBody>(message: &M) -> Result<Vec<u8>, LaneFault> {
    message.check()?;
    if message.encoded_len() > limits::BATCH_BYTES_MAX {
        return Err(LaneFault::TooLarge {
            max: limits::BATCH_BYTES_MAX,
        });
    }
    let body = zstd::bulk::compress(&message.encode_to_vec(), LEVEL)
        .expect("memory to memory compression at a known level has no way to fail");
    check_wire(body.len())?;
    Ok(body)
}

/// Reads the body of a message.
pub fn decode<M: LaneBody>(body: &[u8]) -> Result<M, LaneFault> {
    check_wire(body.len())?;
    let inflated = inflate(body)?;
    let message = M::decode(&*inflated).map_err(|_| LaneFault::Message)?;
    message.check()?;
    Ok(message)
}

/// Inflates one frame, stopping at the bound.
fn inflate(body: &[u8]) -> Result<Vec<u8>, LaneFault> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)
        .map_err(|_| LaneFault::Compression)?
        .single_frame();
    decoder
        .window_log_max(WINDOW_LOG_MAX)
        .map_err(|_| LaneFault::Compression)?;
    let mut inflated = Vec::new();
    (&mut decoder)
        .take(limits::BATCH_BYTES_MAX as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|_| LaneFault::Compression)?;
    if inflated.len() > limits::BATCH_BYTES_MAX {
        return Err(LaneFault::TooLarge {
            max: limits::BATCH_BYTES_MAX,
        });
    }
    let rest: &[u8] = decoder.finish();
    if rest.is_empty() {
        Ok(inflated)
    } else {
        Err(LaneFault::Compression)
    }
}

fn check_wire(bytes: usize) -> Result<(), LaneFault> {
    match bytes {
        0..=limits::BATCH_WIRE_BYTES_MAX => Ok(()),
        _ => Err(LaneFault::WireTooLarge {
            max: limits::BATCH_WIRE_BYTES_MAX,
        }),
    }
}

fn check_items(count: usize, max: usize) -> Result<(), LaneFault> {
    if count <= max {
        Ok(())
    } else {
        Err(LaneFault::Items { count, max })
    }
}

fn check_protocol(got: u32) -> Result<(), LaneFault> {
    if got == PROTOCOL {
        Ok(())
    } else {
        Err(LaneFault::Protocol { got })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use popwatch_core::lane::{Item, ItemBody};
    use proptest::prelude::*;

    fn records(frame: Vec<u8>, count: usize) -> RecordBatch {
        let item = Item {
            body: Some(ItemBody::Frame(frame)),
        };
        RecordBatch {
            protocol: PROTOCOL,
            rig: "till-1".into(),
            journal_id: vec![7; 16],
            epoch: 3,
            first_seq: 1,
            items: vec![item; count],
            ..RecordBatch::default()
        }
    }

    fn cells(count: usize) -> CellBatch {
        CellBatch {
            protocol: PROTOCOL,
            sender: "till-1".into(),
            cells: vec![vec![1, 2, 3]; count],
            ..CellBatch::default()
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let batch = records(vec![5; 300], 40);
        assert_eq!(decode::<RecordBatch>(&encode(&batch).unwrap()), Ok(batch));
        let batch = cells(1_024);
        assert_eq!(decode::<CellBatch>(&encode(&batch).unwrap()), Ok(batch));
        let ack = RecordAck {
            epoch: 3,
            trunk_seq: 99,
            ..RecordAck::default()
        };
        assert_eq!(decode::<RecordAck>(&encode(&ack).unwrap()), Ok(ack));
        let ack = CellAck {
            region_id: vec![1; 16],
            ..CellAck::default()
        };
        assert_eq!(decode::<CellAck>(&encode(&ack).unwrap()), Ok(ack));
    }

    #[test]
    fn one_lane_does_not_read_the_other() {
        let body = encode(&records(vec![5; 300], 4)).unwrap();
        assert_eq!(decode::<CellBatch>(&body), Err(LaneFault::Message));
    }

    #[test]
    fn other_versions_are_refused_by_both_sides() {
        let batch = RecordBatch {
            protocol: 2,
            ..records(vec![], 0)
        };
        let fault = LaneFault::Protocol { got: 2 };
        assert_eq!(encode(&batch), Err(fault));
        let body = zstd::bulk::compress(&batch.encode_to_vec(), LEVEL).unwrap();
        assert_eq!(decode::<RecordBatch>(&body), Err(fault));
        assert_eq!(fault.code(), Code::ProtocolUnsupported);
    }

    #[test]
    fn a_frame_that_swells_is_cut_off_at_the_bound() {
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], LEVEL).unwrap();
        assert!(bomb.len() < limits::BATCH_WIRE_BYTES_MAX);
        let fault = decode::<RecordBatch>(&bomb).unwrap_err();
        assert!(matches!(fault, LaneFault::TooLarge { .. }), "{fault:?}");
        assert_eq!(fault.code(), Code::BatchInvalid);
    }

    #[test]
    fn bounds_hold_at_their_edge() {
        assert!(encode(&cells(limits::BATCH_CELLS_MAX)).is_ok());
        assert!(
            encode(&cells(limits::BATCH_CELLS_MAX + 1))
                .unwrap_err()
                .is_too_large()
        );
        let wide = records(vec![0; 2 << 20], 3);
        assert!(matches!(encode(&wide), Err(LaneFault::TooLarge { .. })));
    }

    #[test]
    fn cut_and_trailing_bytes_are_refused() {
        let body = encode(&records(vec![5; 300], 4)).unwrap();
        for end in 0..body.len() {
            assert!(decode::<RecordBatch>(&body[..end]).is_err(), "cut at {end}");
        }
        let twice = [body.clone(), body].concat();
        assert_eq!(decode::<RecordBatch>(&twice), Err(LaneFault::Compression));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let magic = [&[0x28, 0xb5, 0x2f, 0xfd][..], &bytes].concat();
            for body in [bytes, magic] {
                let _outcome = decode::<RecordBatch>(&body).is_ok();
                let _outcome = decode::<CellBatch>(&body).is_ok();
            }
        }
    }
}

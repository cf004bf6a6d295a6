//! What can happen to the files of a till that nobody watches: damage by seed, for tests and proofs.

use super::faulty::{Dice, FaultFs};

impl FaultFs {
    /// Damages one file at random; answers what was done, for a message. `names` are the files it may
    /// choose from, those that are gone by now included.
    pub fn harm(&self, dice: &mut Dice, names: &[String]) -> String {
        let pick = |dice: &mut Dice| {
            names
                .get(dice.index(names.len()))
                .cloned()
                .unwrap_or_default()
        };
        let name = pick(dice);
        let mut bytes = self.bytes(&name).unwrap_or_default();
        let at = dice.index(bytes.len());
        match dice.below(9) {
            0 | 1 => {
                self.flip(&name, at, dice.roll().to_le_bytes()[0]);
                format!("flip {name} at {at}")
            }
            2 => {
                self.zero(&name, at / 512 * 512, 512);
                format!("zero {name} at {at}")
            }
            3 => {
                bytes.truncate(at);
                self.put(&name, bytes);
                format!("cut {name} to {at}")
            }
            4 => {
                self.remove(&name);
                format!("remove {name}")
            }
            5 => {
                let other = pick(dice);
                let (one, two) = (self.bytes(&name), self.bytes(&other));
                if let (Some(one), Some(two)) = (one, two) {
                    self.put(&name, two);
                    self.put(&other, one);
                }
                format!("swap {name} and {other}")
            }
            6 => {
                let copy = format!("journal/{:012}.pwj", 1 + dice.below(40));
                let fits = self.bytes(&copy).is_none() && !bytes.is_empty();
                if fits {
                    self.put(&copy, bytes);
                }
                format!("double {name} as {copy}")
            }
            7 => {
                let len = dice.index(2_000);
                for byte in bytes.iter_mut().skip(at).take(len) {
                    *byte = dice.roll().to_le_bytes()[0];
                }
                self.put(&name, bytes);
                format!("garble {name} at {at} for {len}")
            }
            _ => {
                let len = dice.index(3_000);
                bytes.extend((0..len).map(|_| dice.roll().to_le_bytes()[0]));
                self.put(&name, bytes);
                format!("lengthen {name} by {len}")
            }
        }
    }
}

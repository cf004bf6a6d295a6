//! When things happen: plays a list of dated items in compressed time.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A clock that runs a popup faster than life. Copies share their start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Player {
    begun: Instant,
    /// How many times faster; 0 is flat out.
    speed: u32,
}

/// Something that happens at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cue<T> {
    /// Which rig it happens at.
    pub(crate) rig_index: usize,
    /// Milliseconds after the popup's start; before it when negative.
    pub(crate) offset_ms: i64,
    /// What happens.
    pub(crate) what: T,
}

impl Player {
    /// Starts the popup now.
    pub(crate) fn start(speed: u32) -> Self {
        Self {
            begun: Instant::now(),
            speed,
        }
    }

    /// How long ago, in real time, the popup started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Waits until an offset of the popup has come; at once when it is past, or flat out.
    pub(crate) async fn reach(&self, offset_ms: i64) {
        let popup_ms = u64::try_from(offset_ms).unwrap_or(0);
        if let Some(real_ms) = popup_ms.checked_div(u64::from(self.speed)) {
            sleep_until(self.begun + Duration::from_millis(real_ms)).await;
        }
    }

    /// Plays the cues of one rig in their order: waits for each, then lets `act` finish with it. An
    /// act that takes long delays the later ones of its rig and no other's. Ends with the first
    /// act that fails.
    pub(crate) async fn play<T, E>(
        &self,
        cues: Vec<Cue<T>>,
        mut act: impl AsyncFnMut(Cue<T>) -> Result<(), E>,
    ) -> Result<(), E> {
        for cue in cues {
            self.reach(cue.offset_ms).await;
            act(cue).await?;
        }
        Ok(())
    }
}

/// Deals cues to the rigs, each in the order of time; cues of one time keep their order.
pub(crate) fn by_rig<T>(mut cues: Vec<Cue<T>>, rigs: usize) -> Vec<Vec<Cue<T>>> {
    assert!(rigs > 0, "a popup has a rig");
    cues.sort_by_key(|cue| cue.offset_ms);
    let mut dealt: Vec<Vec<Cue<T>>> = (0..rigs).map(|_| Vec::new()).collect();
    for cue in cues {
        dealt[cue.rig_index % rigs].push(cue);
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cue(rig_index: usize, offset_ms: i64, what: char) -> Cue<char> {
        Cue {
            rig_index,
            offset_ms,
            what,
        }
    }

    async fn play(speed: u32, cues: Vec<Cue<char>>) -> (String, Vec<u128>) {
        let player = Player::start(speed);
        let (mut played, mut at) = (String::new(), Vec::new());
        player
            .play(cues, async |cue: Cue<char>| {
                played.push(cue.what);
                at.push(player.elapsed().as_millis());
                Ok::<_, ()>(())
            })
            .await
            .unwrap();
        (played, at)
    }

    #[tokio::test]
    async fn time_is_compressed() {
        let cues = vec![cue(0, -5, 'a'), cue(0, 0, 'b'), cue(0, 60_000, 'c')];
        let (played, at) = play(1_000, cues).await;
        assert_eq!(played, "abc");
        assert!(at[1] < 60 && at[2] >= 60, "{at:?}");
    }

    #[tokio::test]
    async fn flat_out_waits_for_nothing() {
        let (played, at) = play(0, vec![cue(0, 0, 'a'), cue(0, i64::MAX, 'b')]).await;
        assert_eq!(played, "ab");
        assert!(at[1] < 1_000);
    }

    #[test]
    fn cues_are_dealt_by_rig_and_time() {
        let dealt = by_rig(
            vec![
                cue(2, 9, 'a'),
                cue(1, 3, 'b'),
                cue(0, 3, 'c'),
                cue(0, 1, 'd'),
            ],
            2,
        );
        let names = |cues: &[Cue<char>]| cues.iter().map(|cue| cue.what).collect::<String>();
        assert_eq!(
            (names(&dealt[0]), names(&dealt[1])),
            ("dca".into(), "b".into())
        );
    }
}

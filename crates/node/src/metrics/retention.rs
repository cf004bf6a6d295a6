//! Whether keys end when they should.

use popwatch_wire::exposition::{Exposition, MetricKind};

use crate::keyring::Keyring;

/// What the keys of one process say of themselves.
pub(crate) fn render(keyring: &Keyring) -> Exposition {
    let (overdue, destroyed) = keyring.counts();
    let mut text = Exposition::new();
    text.family(
        "popwatch_retention_overdue_keys",
        MetricKind::Gauge,
        "Keys of popups that should be no more and still open. More than 0 for a minute: look at the log.",
    )
    .sample(&[], overdue);
    text.family(
        "popwatch_retention_keys_destroyed_total",
        MetricKind::Counter,
        "Keys of popups that were destroyed.",
    )
    .sample(&[], destroyed);
    text
}

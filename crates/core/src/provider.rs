//! Payment providers as the books see them: kinds of objects and the states they pass through.
//!
//! A provider tells of one object many times, in any order. Each telling is a fact of its own
//! ([`crate::event::central::ProviderObject`]); what the object *is* follows from all of them.

pub mod border;
pub mod lattice;
pub mod reference;

use alloc::string::String;
use alloc::vec::Vec;
use prost::Message as _;

use crate::event::central::ProviderObject;

/// What must be equal for two tellings of one delivery to be one: all but how and when it was told.
/// Times and version are left out because a provider may not sign them.
#[must_use]
pub fn told(object: &ProviderObject) -> Vec<u8> {
    ProviderObject {
        delivery: String::new(),
        message: String::new(),
        unwindowed: false,
        from_file: false,
        occurred_ms: 0,
        created_ms: 0,
        version: 0,
        ..object.clone()
    }
    .encode_to_vec()
}

macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $( $variant:ident = $text:literal, $what:literal; )* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( #[doc = $what] $variant, )* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )*];

            /// Its name in records, files and answers.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $( Self::$variant => $text, )* }
            }

            /// Finds one by its name.
            #[must_use]
            pub fn from_text(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.text() == text)
            }
        }
    };
}
pub(crate) use names;

names! {
    /// A provider whose messages and files are understood.
    ProviderKind {
        Stripe = "stripe", "Stripe.";
        Square = "square", "Square.";
        Shopify = "shopify", "Shopify Payments.";
        Adyen = "adyen", "Adyen.";
    }
}

names! {
    /// What a provider's object is.
    ObjectKind {
        Payment = "payment", "A buyer pays.";
        Refund = "refund", "Money goes back to a buyer.";
        Dispute = "dispute", "A buyer's bank asks the money back.";
        Payout = "payout", "The provider pays the seller.";
    }
}

names! {
    /// Where an object stands. Which states a kind can have, and which follows which, is the
    /// lattice's matter.
    ObjectState {
        Created = "created", "Payment, payout: made, nothing decided.";
        Declined = "declined", "Payment: refused, and may yet succeed.";
        Authorised = "authorised", "Payment: promised, not taken.";
        Captured = "captured", "Payment: taken.";
        CaptureFailed = "capture_failed", "Payment: was taken and came undone.";
        Voided = "voided", "Payment: given up before it was taken.";
        Expired = "expired", "Payment: the promise ran out.";
        Requested = "requested", "Refund: asked for.";
        Pending = "pending", "Refund: on its way.";
        Succeeded = "succeeded", "Refund: done.";
        Failed = "failed", "Refund, payout: came undone.";
        Canceled = "canceled", "Refund, payout: given up.";
        Inquiry = "inquiry", "Dispute: a question, no money moved.";
        Open = "open", "Dispute: the money is held.";
        Won = "won", "Dispute: decided for the seller.";
        Lost = "lost", "Dispute: decided for the buyer.";
        InTransit = "in_transit", "Payout: sent.";
        Paid = "paid", "Payout: arrived.";
    }
}

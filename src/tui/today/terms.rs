//! What the words of Today mean, in the publisher's words: one place for the screen, its `i` sheet and the docs.

use crate::store::today::Rule;

/// Something that Today names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Readers who registered.
    NewReaders,
    /// Subscriptions that began.
    NewSubscriptions,
    /// Cancellations that somebody asked for.
    Cancelled,
    /// Subscriptions that are over.
    Ended,
    /// Of them, those for want of payment.
    PaymentFailed,
    /// Money in.
    Payments,
    /// Money back.
    Refunded,
    /// What renewing subscriptions bring in a month.
    Monthly,
    /// Renewing subscriptions whose value is known.
    Priced,
    /// Renewing subscriptions.
    Renewing,
    /// Cancelled, with access left.
    Ending,
    /// Consents given.
    Given,
    /// Consents withdrawn.
    Withdrawn,
    /// Webhooks kept and read.
    Kept,
    /// Webhooks that came again.
    Repeats,
    /// Webhooks kept that could not be read.
    NotUnderstood,
    /// Webhooks that were not let in.
    TurnedAway,
    /// What arrived since the last review and happened before it.
    Late,
    /// The last copy.
    Backup,
    /// Nothing but tests arrived.
    Tests,
    /// Something that needs the publisher.
    Need(Rule),
}

/// What the span a week before is.
pub const WEEK_BEFORE: &str = "A week before: the same hours seven days earlier, so that a Monday is compared with a \
    Monday.";

/// What a usual day is.
pub const USUAL: &str = "A usual day: the median of the 27 days before today; half of them had more, half had less. It \
    is told once 28 days are known.";

impl Term {
    /// Every term that is no rule.
    pub const FIGURES: &'static [Self] = &[
        Self::NewReaders,
        Self::NewSubscriptions,
        Self::Cancelled,
        Self::Ended,
        Self::PaymentFailed,
        Self::Payments,
        Self::Refunded,
        Self::Monthly,
        Self::Priced,
        Self::Renewing,
        Self::Ending,
        Self::Given,
        Self::Withdrawn,
        Self::Kept,
        Self::Repeats,
        Self::NotUnderstood,
        Self::TurnedAway,
        Self::Late,
        Self::Backup,
        Self::Tests,
    ];

    /// One or two sentences.
    pub const fn says(self) -> &'static str {
        match self {
            Self::NewReaders => {
                "New reader: somebody who registered, once per provider and account. The same person at two providers \
                 is two readers. Who only signs in again is none."
            }
            Self::NewSubscriptions => {
                "New subscription: one that began, paid or on trial. A renewal is none, and neither is one that was \
                 announced and did not begin."
            }
            Self::Cancelled => {
                "Cancelled: somebody said that it shall not renew. Access stays until the paid time is over: see \
                 Ending. Payments that failed are not in here."
            }
            Self::Ended => {
                "Ended: the subscription is over, because a cancelled one ran out, money went back, or no payment \
                 came. It is told by the clock, not by a webhook."
            }
            Self::PaymentFailed => {
                "Payment failed: of the ended, those that nobody cancelled: no payment came."
            }
            Self::Payments => {
                "Payments: money that came in, by currency and never added across. What was refunded is not taken off."
            }
            Self::Refunded => "Refunded: money that went back, by currency, charge-backs included.",
            Self::Monthly => {
                "Monthly: what renewing subscriptions bring in a month, a year's price being twelve months; trials and \
                 cancelled ones bring nothing. Others call it MRR. The change is against those who renewed a week ago, \
                 at the prices of now."
            }
            Self::Priced => {
                "Priced: of the renewing subscriptions, those whose price and period the provider told. Only these are \
                 in Monthly."
            }
            Self::Renewing => {
                "Renewing: paid for, with access, not cancelled and not known to stop; a failed payment counts as \
                 renewing while access lasts."
            }
            Self::Ending => {
                "Ending: cancelled, and access left until the paid time is over. The amount is what they brought in a \
                 month and soon will not."
            }
            Self::Given => "+: consents to this purpose that were given, each change counted.",
            Self::Withdrawn => {
                "-: consents to this purpose that were withdrawn, a no after a yes too, each change counted."
            }
            Self::Kept => "Kept: webhooks that are on disk and were read. Tests are not counted.",
            Self::Repeats => {
                "Repeats: webhooks that were here before, sent again by the provider; they count nowhere else."
            }
            Self::NotUnderstood => {
                "Not understood: authentic webhooks that could not be read. They are kept whole and read again after \
                 an upgrade."
            }
            Self::TurnedAway => {
                "Turned away: requests with a wrong or missing secret, or over a limit. Each says why, and can be \
                 taken in after all."
            }
            Self::Late => {
                "Arrived late: came since your last review and happened before it, so that days you have looked at \
                 have changed. Imports are not in here."
            }
            Self::Backup => "Last backup: the last copy that was read back and found whole.",
            Self::Tests => "Tests: webhooks made to try things. They are kept, and in no figure.",
            Self::Need(rule) => needs(rule),
        }
    }
}

/// When a rule holds.
const fn needs(rule: Rule) -> &'static str {
    match rule {
        Rule::NotReceiving => {
            "Nobody listens: what providers send now is not kept here. Most try again for a while."
        }
        Rule::OlderReceiver => {
            "The receiver was started before the program was replaced; it goes on as it was."
        }
        Rule::DiskLow => "A full disk turns every webhook away.",
        Rule::Quiet => {
            "Quiet: no webhook for longer than any gap of the 28 days before the last one, of which there were 20 at \
             least; or for longer than expect_every in the settings. 9 says what was turned away and what to do."
        }
        Rule::TurnedAway => {
            "Requests that were turned away, by provider and reason; once that is mended, a in Deliveries takes them in."
        }
        Rule::Quarantined => {
            "Authentic webhooks of this period that could not be read. Nothing is lost: they are kept whole and read again \
             after an upgrade. 7 with is:quarantined has those from before too."
        }
        Rule::Differing => {
            "A provider sent something again under the same id, and with other content. The first one counts; look \
             whether the second corrects it."
        }
        Rule::CancelSpike => {
            "More cancellations in 24 hours than on any day of the four weeks before yesterday, and 5 at least."
        }
        Rule::WithdrawnPaying => {
            "A consent was withdrawn by a reader with a running subscription: mail them only what the subscription \
             needs."
        }
        Rule::MoneyUnannounced => {
            "Money for a subscription that no webhook told of: one may not have arrived."
        }
        Rule::RefundUnrevoked => {
            "A refund that said that access ends, and no subscription of the reader did: one may not have been told."
        }
        Rule::ExpiringSoon => {
            "Access that runs out within a week and will not renew by itself: the last days to win a reader back."
        }
        Rule::NoBackup => "A copy on another disk is what is left when this one breaks.",
        Rule::AlertsFail => {
            "The program of alerts.command does not do its work: you would not be told."
        }
    }
}

//! What a claim is given, by where the partition stands: the claim after the last one, at the same position, in the same
//! journal.

use super::{Claim, ClaimRequest, StoreError};

/// Where a partition stands when it is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Former {
    /// The identity of the journal that the books count in.
    pub(super) journal: String,
    pub(super) next_offset: i64,
    /// The number of the claim before; 0 when there was none.
    pub(super) epoch: i64,
    pub(super) applied_before: i64,
}

impl ClaimRequest<'_> {
    /// Fails when the partition was applied from another journal: its offsets mean other documents.
    pub(super) fn check_journal(&self, former: &Former) -> Result<(), StoreError> {
        let (known, ClaimRequest { place, journal, .. }) = (&former.journal, self);
        if known == journal {
            return Ok(());
        }
        Err(StoreError::stop(format!(
            "the journal is not the one that stream {} was applied from (it is {journal}, and was {known}); put the old \
             one back, or give up what it held: `sluicegate positions accept-loss {}`",
            place.stream, place.stream
        )))
    }

    /// The claim that follows on the one before; a partition that nobody claimed begins where the journal does.
    pub(super) fn granted(&self, former: Option<&Former>) -> Result<Claim, StoreError> {
        let place = self.place.clone();
        let Some(former) = former else {
            return Ok(Claim { place, epoch: 1, next_offset: self.start, applied_before: 0 });
        };
        self.check_journal(former)?;
        let Former { next_offset, epoch, applied_before, .. } = *former;
        Ok(Claim { place, epoch: epoch + 1, next_offset, applied_before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{StreamName, TopicName};
    use crate::store::Place;

    #[test]
    fn a_claim_follows_on_the_one_before_in_the_same_journal_only() {
        let place =
            Place { stream: StreamName::parse("s").unwrap(), topic: TopicName::parse("t").unwrap(), partition: 0 };
        let request = ClaimRequest { place: &place, journal: "ours", start: 3, owner: "o" };
        let former =
            |journal: &str, epoch| Former { journal: journal.into(), next_offset: 9, epoch, applied_before: 5 };
        for (former, expected) in [
            (None, Some((1, 3, 0))),
            (Some(former("ours", 0)), Some((1, 9, 5))),
            (Some(former("ours", 7)), Some((8, 9, 5))),
            (Some(former("other", 7)), None),
        ] {
            let granted = request.granted(former.as_ref());
            assert_eq!(granted.is_err(), expected.is_none(), "{former:?}");
            let found = granted.ok().map(|claim| (claim.epoch, claim.next_offset, claim.applied_before));
            assert_eq!(found, expected, "{former:?}");
        }
    }
}

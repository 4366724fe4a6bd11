//! Where a transaction works: a connection, and what is known of the tables on it.

use tokio::sync::OwnedMutexGuard;

use super::claim::Seat;
use super::connection::Connection;
use super::plans::Plans;
use super::pool::Lent;

/// The connection of a transaction.
pub(super) enum Desk {
    /// That of a claimed partition.
    Seat(OwnedMutexGuard<Seat>),
    /// One for whom no partition is claimed.
    Lent(Lent, Box<Plans>),
}

impl Desk {
    pub(super) fn connection(&self) -> &Connection {
        match self {
            Desk::Seat(seat) => &seat.connection,
            Desk::Lent(lent, _) => lent,
        }
    }

    pub(super) fn both(&mut self) -> (&Connection, &mut Plans) {
        match self {
            Desk::Seat(seat) => {
                let seat = &mut **seat;
                (&seat.connection, &mut seat.plans)
            }
            Desk::Lent(lent, plans) => (lent, plans),
        }
    }
}

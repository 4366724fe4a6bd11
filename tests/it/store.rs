//! The contract of a store: one list of promises, and every store keeps each of them.
//!
//! A new store is one line in [`every_store`]. `store/transactions.rs` holds what a transaction promises,
//! `store/accounts.rs` what the books do, `store/changes.rs` what changes do to tables,
//! `store/keyed.rs` what those do that leave their key to the table.

mod accounts;
mod bench;
mod changes;
mod earlier;
mod keyed;
mod postgres;
mod sqlite_refusals;
mod sqlite_waits;
mod transactions;

use std::sync::Arc;

use sluicegate::store::postgres::PostgresStore;
use sluicegate::store::sqlite::SqliteStore;
use sluicegate::store::{ClaimRequest, Place, Store};
use tempfile::TempDir;

pub(crate) use self::bench::{Bench, balances, insert, stream};
use crate::support::services::{self, Database};

/// A store, and what it stands on as long as the test lasts. None where its server is missing.
type Opened<T> = Option<(Arc<dyn Store>, T)>;

async fn open_sqlite() -> Opened<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    Some((Arc::new(store), folder))
}

async fn open_postgres() -> Opened<Database> {
    let database = services::postgres()?;
    let store = PostgresStore::open(&database.url()).await.unwrap();
    Some((Arc::new(store), database))
}

/// What the version before did not have goes, and is there again when the store is opened.
#[tokio::test]
async fn books_of_an_earlier_version_are_completed() {
    let drop_column = r#"ALTER TABLE "_sluicegate_positions" DROP COLUMN applied_before"#;
    let (store, folder) = open_sqlite().await.unwrap();
    let place = Bench::new(store).await.place();
    let path = folder.path().join("store.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(drop_column).unwrap();
    let again = SqliteStore::open(&path).unwrap();
    begins_where_it_was(&again, place).await;

    let Some((store, database)) = open_postgres().await else { return };
    let place = Bench::new(store).await.place();
    database.execute(drop_column);
    let again = PostgresStore::open(&database.url()).await.unwrap();
    begins_where_it_was(&again, place).await;
}

async fn begins_where_it_was(store: &dyn Store, place: Place) {
    let [standing] = &store.books().positions(None).await.unwrap()[..] else { panic!("one position") };
    let request = ClaimRequest { place: &place, journal: &standing.journal, start: 7, owner: "again" };
    let claim = store.claim(request).await.unwrap();
    assert_eq!((claim.next_offset, claim.applied_before), (0, 0));
}

macro_rules! suite {
    ($store:ident $open:ident $($module:ident :: $promise:ident)+) => {
        mod $store {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let Some((store, _ground)) = super::$open().await else { return };
                super::$module::$promise(&mut super::Bench::new(store).await).await;
            })+
        }
    };
}

macro_rules! every_store {
    ($($promise:tt)+) => {
        suite!(sqlite open_sqlite $($promise)+);
        suite!(postgresql open_postgres $($promise)+);
    };
}

every_store! {
    transactions::a_new_stream_begins_where_its_journal_begins
    transactions::a_later_claim_goes_on_where_the_earlier_one_was
    transactions::an_old_claim_is_fenced_and_nothing_of_its_transaction_remains
    transactions::another_journal_stops_the_claim
    transactions::documents_apply_in_order_and_all_or_none
    transactions::the_same_batch_twice_changes_nothing
    transactions::a_dropped_transaction_leaves_nothing
    transactions::a_table_goes_with_the_document_that_made_it
    transactions::a_key_stands_for_one_document
    transactions::many_keys_at_once_are_noted_and_those_that_are_known_found
    transactions::a_key_is_free_when_its_document_did_not_apply
    transactions::a_dead_letter_keeps_its_key
    transactions::statements_are_told_when_asked_for
    accounts::letters_commit_with_rows_and_position
    accounts::closing_a_letter_moves_one_unit
    accounts::a_failed_retry_counts_and_keeps_the_letter
    accounts::letters_are_listed_in_order_and_by_filter
    accounts::an_outcome_is_told_for_every_document
    accounts::every_move_of_a_position_keeps_the_balance
    accounts::a_move_does_only_what_was_shown
    accounts::what_is_skipped_before_the_beginning_is_counted
    accounts::books_about_another_journal_are_a_fault
    accounts::a_letter_does_not_lend_its_receipt_to_a_document_of_another_journal
    accounts::a_halt_is_noted_until_the_position_moves
    accounts::old_keys_and_duplicates_go_and_the_balance_stays
    changes::an_insert_makes_its_table_and_adds_its_columns
    changes::nothing_is_made_where_the_stream_may_not
    changes::keys_make_primary_keys
    changes::updates_and_deletes_find_their_rows_by_key
    changes::what_cannot_be_applied_is_said_by_its_type
    changes::names_that_differ_in_case_only_are_refused
    changes::a_key_without_its_nulls_finds_the_row_it_means
    changes::a_key_of_missing_columns_finds_no_row_and_is_refused
    changes::of_identical_rows_each_change_takes_one
    changes::a_schema_stays_in_the_name_unless_it_is_public
    changes::a_batch_is_its_documents_one_by_one
    keyed::the_tables_key_says_which_row_is_meant
    keyed::the_streams_word_stands_before_the_tables
    keyed::many_changes_by_the_tables_key_are_made_in_their_order
    keyed::where_nothing_tells_which_row_is_meant_the_document_says_so
}

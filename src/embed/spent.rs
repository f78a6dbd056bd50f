//! What embedding spends, told to whoever asked for it: the port gives vectors only.

use std::cell::Cell;

use tokio::task_local;

task_local! {
    static SPENT: Cell<u64>;
}

/// Runs some embedding, and gives beside its result the tokens that a provider counted for it; 0
/// where none did. What is spent for others at the same time is not in it.
pub async fn metered<F: Future>(work: F) -> (F::Output, u64) {
    SPENT
        .scope(Cell::new(0), async {
            let result = work.await;
            (result, SPENT.with(Cell::get))
        })
        .await
}

/// Notes tokens that were spent for whoever waits.
pub(super) fn spend(tokens: u64) {
    // Outside of `metered` nobody asks.
    let _ = SPENT.try_with(|spent| spent.set(spent.get().saturating_add(tokens)));
}

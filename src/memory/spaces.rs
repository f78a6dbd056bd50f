//! Which embedders there are, where their vectors lie, and which of them serves.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Notify, RwLock as AsyncLock, RwLockReadGuard};

use crate::embed::Embedder;
use crate::error::{Failure, Reason};
use crate::memory::{
    Memory,
    rows::{revised, store_failure},
};
use crate::record::{Slot, SpacesRow, encode, keys};
use crate::sessions::{Draft, Revised, plan_start, plan_switch};
use crate::storage::{Batch, CommitError, Read, Revision, Store};

/// How often a start tries to write where vectors lie.
const ATTEMPTS_MAX: usize = 4;

/// An embedder, and where its vectors lie.
#[derive(Clone)]
pub struct Space {
    /// The slot of its vectors.
    pub slot: Slot,
    /// What makes them.
    pub embedder: Arc<dyn Embedder>,
}

/// What is known of the slots.
#[derive(Clone, Default)]
struct State {
    row: SpacesRow,
    revision: Option<Revision>,
    serving: Option<Space>,
    beside: Option<Space>,
}

/// The embedders of a node. One serves: questions are compared with its vectors. The other one is
/// on its way in or out: what comes gets its vectors too, and what was there gets them behind.
#[derive(Default)]
pub struct Spaces {
    embedders: Vec<Arc<dyn Embedder>>,
    state: RwLock<State>,
    /// Held for reading while the index is asked or told by vectors, for writing by a switch.
    switching: AsyncLock<()>,
    switched: Notify,
}

impl Spaces {
    /// One embedder, whose vectors lie in the first slot.
    pub fn of(embedder: Arc<dyn Embedder>) -> Self {
        let serving = Some(Space { slot: Slot::First, embedder: embedder.clone() });
        let state = RwLock::new(State { serving, ..State::default() });
        Self { embedders: vec![embedder], state, ..Self::default() }
    }

    /// The embedders that the settings name, as the record knows them; what it does not know yet is
    /// written down. Call it before serving.
    ///
    /// # Errors
    /// What the store refuses; `CONTENTION` when another node starts with other settings.
    pub async fn open(
        store: &dyn Store,
        model: Option<Arc<dyn Embedder>>,
        next: Option<Arc<dyn Embedder>>,
    ) -> Result<Self, Failure> {
        let key = |embedder: &Option<Arc<dyn Embedder>>| {
            embedder.as_ref().map(|embedder| embedder.key().to_owned())
        };
        let (model_key, next_key) = (key(&model), key(&next));
        let embedders: Vec<_> = model.into_iter().chain(next).collect();
        for _ in 0..ATTEMPTS_MAX {
            let rows = store.read(vec![Read::get(keys::spaces())]).await;
            let found = revised::<SpacesRow>(&rows.map_err(store_failure)?[0])?;
            let before = found.as_ref().map(|found| &found.row);
            let Some(row) = plan_start(before, model_key.as_deref(), next_key.as_deref()) else {
                let state = state_of(&embedders, found);
                return Ok(Self { embedders, state: RwLock::new(state), ..Self::default() });
            };
            let batch = expecting(Batch::new(), found.map(|found| found.revision));
            match store.commit(batch.put(keys::spaces(), encode(&row))).await {
                Ok(_) | Err(CommitError::Conflict { .. }) => {}
                Err(CommitError::Store(error)) => return Err(store_failure(error)),
            }
        }
        Err(Failure::new(Reason::Contention, "another node changes where vectors lie"))
    }

    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one whose vectors questions are compared with.
    pub fn serving(&self) -> Option<Space> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).serving.clone()
    }

    /// The other one, if there is one.
    pub fn beside(&self) -> Option<Space> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).beside.clone()
    }

    /// Whether there is an embedder.
    pub(super) fn embeds(&self) -> bool {
        !self.embedders.is_empty()
    }

    /// Whether an embedder serves now.
    pub(super) fn serves(&self, key: &str) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.serving.as_ref().is_some_and(|space| space.embedder.key() == key)
    }

    /// Whether vectors of a slot that no embedder has are to be removed; that slot.
    pub(super) fn to_clear(&self) -> Option<Slot> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.row.clearing.then_some(state.row.serving.other())
    }

    /// Demands of a commit that the slots are as they are known here.
    pub(super) fn expected(&self, draft: &mut Draft) {
        draft.expect(keys::spaces(), self.state().revision);
    }

    /// Waits until no switch is under way, and keeps one from beginning.
    pub(super) async fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.switching.read().await
    }

    fn take(&self, found: Option<Revised<SpacesRow>>) {
        let state = state_of(&self.embedders, found);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

fn expecting(batch: Batch, revision: Option<Revision>) -> Batch {
    match revision {
        Some(revision) => batch.revision(keys::spaces(), revision),
        None => batch.absent(keys::spaces()),
    }
}

/// Which of the embedders have which slots. Without a row the first one serves from the first slot.
fn state_of(embedders: &[Arc<dyn Embedder>], found: Option<Revised<SpacesRow>>) -> State {
    let Some(Revised { row, revision }) = found else {
        let serving = embedders.first().cloned();
        let serving = serving.map(|embedder| Space { slot: Slot::First, embedder });
        return State { serving, ..State::default() };
    };
    let of = |slot: Slot| {
        let embedder = embedders.iter().find(|embedder| embedder.key() == row.key(slot))?;
        Some(Space { slot, embedder: embedder.clone() })
    };
    let (serving, beside) = (of(row.serving), of(row.serving.other()));
    State { revision: Some(revision), serving, beside, row }
}

impl Memory {
    /// The same with these embedders.
    #[must_use]
    pub fn with_spaces(mut self, spaces: Arc<Spaces>) -> Self {
        self.spaces = spaces;
        self
    }

    /// The same with an embedder: turns get vectors, and questions are understood by meaning too.
    #[must_use]
    pub fn with_embedder(self, embedder: Arc<dyn Embedder>) -> Self {
        self.with_spaces(Arc::new(Spaces::of(embedder)))
    }

    /// Learns anew which embedder serves: another node may have switched.
    pub(super) async fn refresh_spaces(&self) -> Result<(), Failure> {
        let found = self.get::<SpacesRow>(keys::spaces()).await?;
        if found.as_ref().map(|found| found.revision) != self.spaces.state().revision {
            self.switch_to(found).await;
        }
        Ok(())
    }

    /// Has the embedder of a key serve, from the next question on.
    ///
    /// # Errors
    /// `EMBEDDER_UNKNOWN`, `CONTENTION`, and what the store refuses.
    pub(super) async fn serve_embedder(&self, key: &str) -> Result<(), Failure> {
        let unknown = || {
            let message = format!("no embedder `{key}` is served or prepared by this node");
            Failure::new(Reason::EmbedderUnknown, message)
        };
        let state = self.spaces.state();
        let named = [&state.serving, &state.beside].into_iter().flatten();
        if !named.into_iter().any(|space| space.embedder.key() == key) {
            return Err(unknown());
        }
        if self.spaces.serves(key) {
            return Ok(());
        }
        let after = plan_switch(&state.row, key).ok_or_else(unknown)?;
        let batch = expecting(Batch::new(), state.revision).put(keys::spaces(), encode(&after));
        match self.store.commit(batch).await {
            Ok(_) => {}
            Err(CommitError::Conflict { .. }) => {
                let message = "somebody else switches at the same time";
                return Err(Failure::new(Reason::Contention, message));
            }
            Err(CommitError::Store(error)) => return Err(store_failure(error)),
        }
        let found = self.get::<SpacesRow>(keys::spaces()).await?;
        self.switch_to(found).await;
        Ok(())
    }

    /// Forgets that a slot is to be cleared: it is.
    pub(super) async fn cleared_slot(&self) -> Result<(), Failure> {
        let state = self.spaces.state();
        let row = SpacesRow { clearing: false, ..state.row };
        let batch = expecting(Batch::new(), state.revision).put(keys::spaces(), encode(&row));
        match self.store.commit(batch).await {
            Ok(_) | Err(CommitError::Conflict { .. }) => self.refresh_spaces().await,
            Err(CommitError::Store(error)) => Err(store_failure(error)),
        }
    }

    async fn switch_to(&self, found: Option<Revised<SpacesRow>>) {
        let _alone = self.spaces.switching.write().await;
        let before = self.spaces.serving().map(|space| space.slot);
        self.spaces.take(found);
        if self.spaces.serving().map(|space| space.slot) == before {
            return;
        }
        self.index_serves(self.spaces.serving().map_or(Slot::First, |space| space.slot));
        self.spaces.switched.notify_one();
    }

    /// Waits until another embedder serves than before.
    pub async fn switched(&self) {
        self.spaces.switched.notified().await;
    }
}

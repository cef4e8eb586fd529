//! Thematic collections: the company's catalogue service puts them with the weights of a model; a model that changes is
//! a new version of the weights (README, Collections).

mod request;
pub(crate) mod store;
pub(crate) mod view;

use std::collections::BTreeSet;

use domain::ids::CollectionId;
use domain::trading::collection::symbol::Symbol;
use domain::trading::collection::weights::TargetWeights;
use platform::clock::ClockHandle;
use platform::database::Database;
use platform::idempotency::Replayable;
use platform::pagination::{Page, PageRequest};
use rust_decimal::Decimal;

pub use self::request::{PutCollectionRequest, SymbolWeightRequest};
pub use self::view::{CollectionView, RecommendedWeightsView, SymbolWeightView};

use crate::{Error, instrument};

platform::list! {
    /// The collections that can be bought.
    pub CollectionList: CollectionId = "collections"
}

/// The longest name of a collection, in characters.
const MAX_NAME_LENGTH: usize = 100;
/// The longest `uniq_id`, in characters.
const MAX_UNIQ_ID_LENGTH: usize = 64;

/// The collections.
#[derive(Debug)]
pub struct Collections {
    database: Database,
    clock: ClockHandle,
}

platform::from_environment!(Collections { database, clock });

impl Collections {
    /// Puts a collection. The same again changes nothing; other weights are a new version of them. `replayed` when it was
    /// there.
    ///
    /// # Errors
    /// Rejected for a name or weights that can't be taken, or a `uniq_id` of another collection.
    pub async fn put(
        &self,
        id: CollectionId,
        request: &PutCollectionRequest,
    ) -> Result<Replayable<CollectionView>, Error> {
        check_text("name", &request.name, MAX_NAME_LENGTH, |_| true)?;
        check_text("uniq_id", &request.uniq_id, MAX_UNIQ_ID_LENGTH, |letter| {
            letter.is_ascii_graphic()
        })?;
        let weights = target_weights(&request.weights)?;
        let now = self.clock.now();
        self.database
            .transaction(async |connection| {
                if store::is_taken(connection, id, &request.uniq_id).await? {
                    return Err(Error::UniqIdTaken);
                }
                let is_new = store::insert(connection, id, request, now).await?;
                let model = store::lock(connection, id).await?;
                let has_model =
                    !is_new && store::weights(connection, id, model).await? == weights_of(&weights);
                if !has_model {
                    let next = if is_new { model } else { model.saturating_add(1) };
                    store::insert_weights(connection, id, next, &weights).await?;
                    store::set_model(connection, id, next, now).await?;
                }
                store::update(connection, id, request, now).await?;
                let collection = store::load(connection, id).await?;
                let view = CollectionView::from(collection.ok_or(Error::CollectionNotFound)?);
                Ok(Replayable {
                    value: view,
                    replayed: !is_new,
                })
            })
            .await
    }

    /// A page of the collections, by id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn page(&self, page: PageRequest<CollectionList>) -> Result<Page<CollectionView>, Error> {
        let rows = self
            .database
            .with(async |connection| store::list(connection, page.after, page.rows()).await)
            .await?;
        Ok(Page::from_overfetched(
            &rows,
            &page,
            |row| CollectionView::from(row.clone()),
            |row| row.id,
        )?)
    }

    /// The weights of the collection's model over those of its symbols that can be traded; none when none can.
    ///
    /// # Errors
    /// Not found for an unknown collection.
    pub async fn recommended(&self, id: CollectionId) -> Result<RecommendedWeightsView, Error> {
        let weights = self
            .database
            .with(async |connection| recommended(connection, id).await)
            .await?;
        Ok(RecommendedWeightsView::new(id, weights.as_ref()))
    }
}

/// The recommended weights of a collection; `None` when none of its symbols can be traded.
async fn recommended(
    connection: &mut sqlx::PgConnection,
    id: CollectionId,
) -> Result<Option<TargetWeights>, Error> {
    let collection = store::load(connection, id)
        .await?
        .ok_or(Error::CollectionNotFound)?;
    let model = collection.model();
    let symbols: Vec<String> = model.iter().map(|(symbol, _)| symbol.to_string()).collect();
    let tradable = instrument::store::tradable(connection, &symbols).await?;
    let tradable: BTreeSet<Symbol> = tradable.into_iter().map(|one| one.symbol).collect();
    Ok(TargetWeights::of_model(&model, |symbol| {
        tradable.contains(symbol)
    }))
}

/// The weights of a request, checked and brought to a sum of 1.
///
/// # Errors
/// The first reason not to take them, with its field.
pub(crate) fn target_weights(given: &[SymbolWeightRequest]) -> Result<TargetWeights, Error> {
    let given: Vec<(Symbol, Decimal)> = given
        .iter()
        .map(|one| (one.symbol.clone(), one.weight.as_decimal()))
        .collect();
    Ok(TargetWeights::of_request(&given)?)
}

fn weights_of(weights: &TargetWeights) -> Vec<(Symbol, Decimal)> {
    weights
        .iter()
        .map(|(symbol, weight)| (symbol.clone(), weight.as_decimal()))
        .collect()
}

fn check_text(
    field: &'static str,
    text: &str,
    max_length: usize,
    takes: impl Fn(char) -> bool,
) -> Result<(), Error> {
    let length = text.chars().count();
    let is_good = (1..=max_length).contains(&length)
        && text.trim().len() == text.len()
        && text.chars().all(|letter| !letter.is_control() && takes(letter));
    if is_good {
        return Ok(());
    }
    Err(Error::InvalidValue {
        field,
        message: format!(
            "has to have 1 to {max_length} characters that can be seen, without spaces around them"
        ),
    })
}

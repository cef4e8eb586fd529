//! Payments of a client: one row for each side of a transfer, one for a recharge or a withdrawal. Here they are listed;
//! `movement` and `transfer` make them.

mod request;
pub(crate) mod store;
#[cfg(test)]
mod tests;
pub mod view;

use domain::ids::{ClientId, PaymentId};
use platform::pagination::{Page, PageRequest};

use crate::Error;
use crate::client::store as clients;
use crate::placement::Nodes;
use view::PaymentView;

pub use request::{PaymentList, PaymentsQuery};

/// The payments of clients.
#[derive(Debug)]
pub struct Payments {
    nodes: Nodes,
}

platform::from_environment!(Payments { nodes });

impl Payments {
    /// A payment of the client, as it is now.
    ///
    /// # Errors
    /// Not found for a payment that isn't the client's.
    pub async fn get(&self, client_id: ClientId, id: PaymentId) -> Result<PaymentView, Error> {
        let payment = self
            .nodes
            .of(client_id)
            .with(async |connection| store::find(connection, client_id, id).await)
            .await?;
        payment
            .as_ref()
            .map(PaymentView::from)
            .ok_or(Error::PaymentNotFound)
    }

    /// A page of the client's payments, newest first. With a filter it may be shorter than asked for, and go on.
    ///
    /// # Errors
    /// Not found for an unknown client.
    pub async fn list(
        &self,
        client_id: ClientId,
        query: &PaymentsQuery,
        page: PageRequest<PaymentList>,
    ) -> Result<Page<PaymentView>, Error> {
        let (payments, read_to) = self
            .nodes
            .of(client_id)
            .with(async |connection| {
                let payments = store::list(connection, client_id, query, &page).await?;
                if payments.is_empty() {
                    clients::load(connection, client_id).await?;
                }
                let read_to = match i64::try_from(payments.len()) {
                    Ok(rows) if rows < page.rows() => {
                        store::last_read(connection, client_id, query.from, &page).await?
                    }
                    _ => None,
                };
                Ok::<_, Error>((payments, read_to))
            })
            .await?;
        Ok(Page::from_part(
            &payments,
            read_to,
            &page,
            |payment| PaymentView::from(payment),
            |payment| payment.id,
        )?)
    }
}

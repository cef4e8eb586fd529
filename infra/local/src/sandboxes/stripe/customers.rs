//! Customers and their payment methods.

use serde_json::{Value, json};

use super::errors::{ApiError, ApiResult};
use super::params::Params;
use super::render::list;
use super::state::{Customer, PaymentMethod, new_id};
use super::work::{Page, Work};

impl Work<'_> {
    pub(super) fn create_customer(&mut self, mut params: Params) -> ApiResult<Value> {
        let customer = Customer {
            id: new_id("cus"),
            created: self.now,
            name: params.text("name"),
            email: params.text("email"),
            phone: params.text("phone"),
            description: params.text("description"),
            metadata: params.metadata()?,
        };
        params.finish()?;
        let id = customer.id.clone();
        self.state.customers.insert(id.clone(), customer);
        self.emit("customer.created", &id);
        Ok(self.render(&id))
    }

    /// The payment methods of a customer.
    pub(super) fn list_payment_methods(&self, customer: &str, mut params: Params) -> ApiResult<Value> {
        let page = Page::of(&mut params)?;
        params.one_of("type", &["card"])?;
        params.finish()?;
        if !self.state.customers.contains_key(customer) {
            return Err(ApiError::missing(404, "customer", customer, "customer"));
        }
        let wanted = |method: &&PaymentMethod| method.customer.as_deref() == Some(customer);
        let methods = self.state.methods.values().filter(wanted);
        let (ids, has_more) = page.cut(methods.map(|method| (method.id.as_str(), method.created)));
        let data = ids.iter().map(|id| self.render(id)).collect();
        let url = format!("/v1/customers/{customer}/payment_methods");
        Ok(list(&url, data, has_more))
    }

    /// Gives a payment method to a customer; again is no change.
    pub(super) fn attach(&mut self, id: &str, customer: &str) -> ApiResult<()> {
        let Some(method) = self.state.methods.get_mut(id) else {
            return Err(ApiError::missing(404, "PaymentMethod", id, "payment_method"));
        };
        match method.customer.as_deref() {
            Some(owner) if owner == customer => return Ok(()),
            Some(_) => {
                return Err(ApiError::invalid(
                    None,
                    "The payment method you provided has already been attached to a customer.",
                ));
            }
            None if method.spent => return Err(spent()),
            None => method.customer = Some(customer.to_owned()),
        }
        self.emit("payment_method.attached", id);
        Ok(())
    }

    pub(super) fn detach_payment_method(&mut self, id: &str, params: Params) -> ApiResult<Value> {
        params.finish()?;
        self.detach(id)?;
        Ok(self.render(id))
    }

    /// Takes a payment method from its customer, for good.
    pub(super) fn detach(&mut self, id: &str) -> ApiResult<()> {
        let Some(method) = self.state.methods.get_mut(id) else {
            return Err(ApiError::missing(404, "PaymentMethod", id, "payment_method"));
        };
        let Some(customer) = method.customer.take() else {
            return Err(ApiError::invalid(
                None,
                "The payment method you provided is not attached to a customer so detachment is impossible.",
            ));
        };
        method.spent = true;
        let previous = json!({ "customer": customer });
        self.emit_change("payment_method.detached", id, Some(previous));
        Ok(())
    }

    /// The bank renews a card; says whether there is such a payment method.
    pub(super) fn renew_card(&mut self, id: &str, exp_month: i64, exp_year: i64) -> bool {
        let Some(method) = self.state.methods.get_mut(id) else {
            return false;
        };
        let previous = json!({ "card": { "exp_month": method.exp_month, "exp_year": method.exp_year } });
        method.exp_month = exp_month;
        method.exp_year = exp_year;
        self.emit_change("payment_method.automatically_updated", id, Some(previous));
        true
    }
}

/// The refusal of a payment method that can't be used again.
pub(super) fn spent() -> ApiError {
    ApiError::invalid(
        None,
        "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with \
         a connected account without Customer attachment, or was detached from a Customer. It may not be used again. \
         To use a PaymentMethod multiple times, you must attach it to a Customer first.",
    )
}

//! Text messages to phones, through Amazon SNS.

use aws_sdk_sns::Client;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use tokio::time::Instant;

use crate::outcome::{Decline, Outcome, Reason};

/// Messages of this kind go before advertisements.
const KIND: &str = "Transactional";
const KIND_ATTRIBUTE: &str = "AWS.SNS.SMS.SMSType";

/// Sends a text to a phone. A message whose response was lost may have been sent: sending it again sends it twice.
pub async fn send(client: &Client, phone: &str, text: &str, deadline: Instant) -> Outcome<()> {
    let kind = MessageAttributeValue::builder()
        .data_type("String")
        .string_value(KIND)
        .build();
    let kind = match kind {
        Ok(kind) => kind,
        Err(error) => return Outcome::Retryable(Reason(error.to_string())),
    };
    let sending = client
        .publish()
        .phone_number(phone)
        .message(text)
        .message_attributes(KIND_ATTRIBUTE, kind)
        .send();
    // Boxed: the SDK's futures stand deep within each other, and the compiler works out no more than so many.
    match tokio::time::timeout_at(deadline, Box::pin(sending)).await {
        Ok(Ok(_)) => Outcome::Done(()),
        Ok(Err(error)) => refused(&error),
        Err(_) => Outcome::Unknown(Reason("no response in time".to_owned())),
    }
}

fn refused(error: &SdkError<PublishError>) -> Outcome<()> {
    match error {
        SdkError::ConstructionFailure(_) => {
            Outcome::Retryable(Reason("the request can't be made".to_owned()))
        }
        SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_user() => {
            Outcome::Retryable(Reason("no connection".to_owned()))
        }
        SdkError::ServiceError(refusal) => {
            let status = refusal.raw().status().as_u16();
            let code = error.code().unwrap_or_default().to_owned();
            let is_declined = (400..=499).contains(&status) && status != 429 && !code.contains("Thrott");
            match is_declined {
                true => Outcome::Declined(Decline::new(code, error.message().unwrap_or_default(), status)),
                false => Outcome::Retryable(Reason(format!("status {status}"))),
            }
        }
        _ => Outcome::Unknown(Reason("the response was lost".to_owned())),
    }
}

/// Whether the refusal means that the number can't be reached, rather than that we may not send.
pub fn is_number_refused(decline: &Decline) -> bool {
    matches!(
        decline.code.as_str(),
        "InvalidParameter" | "InvalidParameterValue" | "OptedOut"
    )
}

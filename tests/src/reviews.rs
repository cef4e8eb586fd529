//! Reviews, as operators see and decide them.

use serde_json::{Value, json};

use crate::{Answer, Api, Fixture, Result, eventually};

impl Fixture {
    /// The API as an operator of this name sees it.
    ///
    /// # Errors
    /// When there is no token.
    pub fn operator(&self, name: &str) -> Result<Api> {
        self.api(Some(json!({ "groups": ["admin"], "sub": name })))
    }

    /// Opens a review about nothing, whose one action changes nothing; gives its id.
    ///
    /// # Errors
    /// When it can't be written.
    pub async fn review(&self, subject: &str) -> Result<i64> {
        let sql = "INSERT INTO reviews (area, kind, subject, summary, evidence, actions, opened_at, last_seen_at) \
                   VALUES ('commissions', 'invoice-uncollectible', $1, 'An invoice', '{\"ours\":{\"invoice_id\":1},\"theirs\":null}', \
                           '[{\"action\":\"keep-owed\",\"means\":\"Changes nothing\",\"parameters\":[]}]', now(), now()) \
                   RETURNING id";
        let id = sqlx::query_scalar(sql).bind(subject);
        Ok(id.fetch_one(self.database.pool()).await?)
    }

    /// The newest review of a kind and subject, as an operator reads it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn review_of(&self, kind: &str, subject: &str) -> Result<Value> {
        let sql = "SELECT id FROM reviews WHERE kind = $1 AND subject = $2 ORDER BY id DESC LIMIT 1";
        let id: i64 = sqlx::query_scalar(sql)
            .bind(kind)
            .bind(subject)
            .fetch_one(self.database.pool())
            .await?;
        let path = format!("/admin/reviews/{id}");
        Ok(self.operator("reader")?.get(&path).await?.expect(200)?.body)
    }

    /// Decides a review as an operator.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn decide(
        &self,
        operator: &str,
        review: &Value,
        action: &str,
        parameters: Value,
    ) -> Result<Answer> {
        let path = format!("/admin/reviews/{}/decision", review["id"]);
        let body =
            json!({ "action": action, "reason": "because the test says so", "parameters": parameters });
        self.operator(operator)?.post(&path, "unused", &body).await
    }

    /// Waits until the newest review of a kind and subject is in a state; gives it.
    ///
    /// # Errors
    /// When it doesn't come to that.
    pub async fn review_reaches(&self, kind: &str, subject: &str, state: &str) -> Result<Value> {
        eventually(&format!("review {kind} of {subject} is {state}"), async || {
            let review = self.review_of(kind, subject).await?;
            crate::ensure_eq!(review["state"], json!(state), "{review}");
            Ok(review)
        })
        .await
    }
}

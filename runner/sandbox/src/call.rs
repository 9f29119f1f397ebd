//! One call of the gateway, handed from filter to filter: what it is about,
//! what the gateway said when it was asked, what the filters pass on.

use std::sync::Arc;
use std::time::Duration;

use crate::chain_values::ChainValues;
use crate::conversation::{Allowance, AskError, Conversation};
use crate::services::ServiceUse;
use crate::{Answer, Gateway, GatewayError, Question};

/// A call about a request or a response.
pub struct Call<S> {
    pub(crate) subject: S,
    pub(crate) conversation: Conversation,
    pub(crate) chain: ChainValues,
    /// What was asked of services; made when the first filter asks.
    pub(crate) services: Option<Arc<ServiceUse>>,
}

impl<S> Call<S> {
    pub(crate) fn about(subject: S, gateway: Arc<dyn Gateway>) -> Self {
        Call {
            subject,
            conversation: Conversation::new(gateway),
            chain: ChainValues::default(),
            services: None,
        }
    }

    /// Asks on the runner's own behalf, unless the answer is known already. It
    /// does not count against what filters may ask.
    ///
    /// # Errors
    /// [`GatewayError`]; the conversation is over.
    pub async fn ask(
        &mut self,
        question: Question<'_>,
        time: Duration,
    ) -> Result<Answer, GatewayError> {
        let allowance = Allowance {
            questions: u32::MAX,
            time,
        };
        match self.conversation.ask(&[question], allowance).await {
            Ok(answers) => Ok(answers.into_iter().next().flatten()),
            Err(AskError::Gateway(error)) => Err(error),
            Err(AskError::TooMany(_)) => unreachable!("the runner's own questions are not counted"),
        }
    }

    /// The answer, where the question was asked before.
    pub fn known(&self, question: Question<'_>) -> Option<Answer> {
        self.conversation.known(question)
    }
}

//! The questions of one call and their answers: each is asked at most once and
//! kept for all filters of the call. (The gateway hands out a response body
//! only once.)

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{Answer, Gateway, GatewayError, Question};

/// What is known from the gateway in one call.
pub(crate) struct Conversation {
    gateway: Arc<dyn Gateway>,
    variables: HashMap<Vec<u8>, Answer>,
    request_body: Option<Answer>,
    response_body: Option<Answer>,
    /// The gateway was asked for the response body, which it hands out once.
    response_body_asked: bool,
    asked: u32,
    waited: Duration,
    /// The first question that failed. Whatever the guest makes of the error,
    /// the call cannot go on.
    failed: Option<GatewayError>,
}

/// How much may be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    /// Questions in the whole call, those that came before included.
    pub(crate) questions: u32,
    /// Waiting in the whole call.
    pub(crate) time: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AskError {
    /// The call has asked too much; nothing was asked this time.
    TooMany(u32),
    /// The conversation is over.
    Gateway(GatewayError),
}

impl Conversation {
    pub(crate) fn new(gateway: Arc<dyn Gateway>) -> Self {
        Conversation {
            gateway,
            variables: HashMap::new(),
            request_body: None,
            response_body: None,
            response_body_asked: false,
            asked: 0,
            waited: Duration::ZERO,
            failed: None,
        }
    }

    /// The answers, in order; what is not known yet is asked in one exchange.
    pub(crate) async fn ask(
        &mut self,
        questions: &[Question<'_>],
        allowance: Allowance,
    ) -> Result<Vec<Answer>, AskError> {
        let mut missing: Vec<Question<'_>> = Vec::new();
        let mut seen = HashSet::new();
        for question in questions {
            if self.known(*question).is_none() && seen.insert(*question) {
                missing.push(*question);
            }
        }
        if !missing.is_empty() {
            self.fetch(&missing, allowance).await?;
        }
        Ok(questions
            .iter()
            .map(|question| self.known(*question).unwrap_or_default())
            .collect())
    }

    /// Why the conversation is over, if it is.
    pub(crate) fn failed(&self) -> Option<&GatewayError> {
        self.failed.as_ref()
    }

    /// A filter that waited for too long is gone: others may go on with what is
    /// known. A conversation that broke stays broken.
    pub(crate) fn forgive(&mut self) {
        if matches!(self.failed, Some(GatewayError::TooLate(_))) {
            self.failed = None;
        }
    }

    async fn fetch(
        &mut self,
        questions: &[Question<'_>],
        allowance: Allowance,
    ) -> Result<(), AskError> {
        if let Some(error) = &self.failed {
            return Err(AskError::Gateway(error.clone()));
        }
        let asked = self
            .asked
            .saturating_add(u32::try_from(questions.len()).unwrap_or(u32::MAX));
        if asked > allowance.questions {
            return Err(AskError::TooMany(allowance.questions));
        }
        self.asked = asked;
        let time = allowance.time.saturating_sub(self.waited);
        if time.is_zero() {
            // The answer that did not come is still to come.
            let error = GatewayError::TooLate(allowance.time.as_millis());
            self.failed = Some(error.clone());
            return Err(AskError::Gateway(error));
        }
        if questions.contains(&Question::ResponseBody)
            && std::mem::replace(&mut self.response_body_asked, true)
        {
            // The gateway would say that there is none, and whoever masks
            // something in it would have nothing to mask.
            let lost = "the response body went to a filter that was given up";
            let error = GatewayError::WrongAnswer(lost.into());
            self.failed = Some(error.clone());
            return Err(AskError::Gateway(error));
        }
        let started = Instant::now();
        // What holds if this is given up while the gateway still has to answer.
        self.failed = Some(GatewayError::TooLate(allowance.time.as_millis()));
        let answers = match tokio::time::timeout(time, self.gateway.ask(questions)).await {
            Ok(answers) => answers,
            Err(_) => Err(GatewayError::TooLate(allowance.time.as_millis())),
        };
        self.waited += started.elapsed();
        self.failed = None;
        match answers {
            Ok(answers) => {
                for (question, answer) in questions.iter().zip(answers) {
                    self.keep(*question, answer);
                }
                Ok(())
            }
            Err(error) => {
                self.failed = Some(error.clone());
                Err(AskError::Gateway(error))
            }
        }
    }

    /// What the gateway said; cheap to copy, the bytes are shared.
    pub(crate) fn known(&self, question: Question<'_>) -> Option<Answer> {
        match question {
            Question::Variable(name) => self.variables.get(name).cloned(),
            Question::RequestBody => self.request_body.clone(),
            Question::ResponseBody => self.response_body.clone(),
        }
    }

    fn keep(&mut self, question: Question<'_>, answer: Answer) {
        match question {
            Question::Variable(name) => {
                self.variables.insert(name.to_vec(), answer);
            }
            Question::RequestBody => self.request_body = Some(answer),
            Question::ResponseBody => self.response_body = Some(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Mutex;

    /// Answers every variable with its name, and no body.
    #[derive(Default)]
    struct Echo {
        asked: Mutex<Vec<String>>,
    }

    impl Gateway for Echo {
        fn ask<'a>(
            &'a self,
            questions: &'a [Question<'a>],
        ) -> Pin<Box<dyn Future<Output = Result<Vec<Answer>, GatewayError>> + Send + 'a>> {
            Box::pin(async move {
                let mut asked = self.asked.lock().expect("not poisoned");
                let answers = questions.iter().map(|question| {
                    asked.push(format!("{question:?}"));
                    match question {
                        Question::Variable(name) => Some(bytes::Bytes::copy_from_slice(name)),
                        _ => None,
                    }
                });
                Ok(answers.collect())
            })
        }
    }

    /// Answers nothing.
    struct Silent;

    impl Gateway for Silent {
        fn ask<'a>(
            &'a self,
            _: &'a [Question<'a>],
        ) -> Pin<Box<dyn Future<Output = Result<Vec<Answer>, GatewayError>> + Send + 'a>> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn a_response_body_that_was_lost_should_not_pass_for_none() {
        let mut conversation = Conversation::new(Arc::new(Silent));
        let mut ask = async |ms| {
            let allowance = Allowance {
                questions: 4,
                time: Duration::from_millis(ms),
            };
            let asked = conversation.ask(&[Question::ResponseBody], allowance).await;
            conversation.forgive();
            asked
        };
        let late = AskError::Gateway(GatewayError::TooLate(5));
        assert_eq!(ask(5).await, Err(late));
        // Another filter, with time left.
        let lost = ask(60_000).await;
        assert!(
            matches!(lost, Err(AskError::Gateway(GatewayError::WrongAnswer(_)))),
            "{lost:?}"
        );
    }

    #[tokio::test]
    async fn a_question_should_be_asked_once() {
        let gateway = Arc::new(Echo::default());
        let mut conversation = Conversation::new(Arc::clone(&gateway) as Arc<dyn Gateway>);
        let allowance = Allowance {
            questions: 4,
            time: Duration::from_secs(1),
        };
        let [a, b] = [Question::Variable(b"a"), Question::Variable(b"b")];
        for questions in [
            &[a, b, a][..],
            &[b],
            &[Question::RequestBody],
            &[Question::RequestBody],
        ] {
            let answers = conversation
                .ask(questions, allowance)
                .await
                .expect("answers");
            assert_eq!(answers.len(), questions.len());
        }
        assert_eq!(gateway.asked.lock().expect("not poisoned").len(), 3);
        let many = [Question::Variable(b"c"), Question::Variable(b"d")];
        assert_eq!(
            conversation.ask(&many, allowance).await,
            Err(AskError::TooMany(4))
        );
        assert!(
            conversation.ask(&many[..1], allowance).await.is_ok(),
            "one more is allowed"
        );
    }
}

//! The model of APISIX at the port through which filters ask.
//!
//! Must not know which filter asks.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use gateway_model::{HttpRequest, UpstreamResponse, request_phase};
use protocol::gateway_side::Asked;
use sandbox::{Answer, Gateway, GatewayError, Question};

/// Answers from what it was given.
pub(super) struct ModelGateway {
    request: HttpRequest,
    /// Handed out once, as the gateway does.
    response_body: Mutex<Option<Vec<u8>>>,
}

impl ModelGateway {
    pub(super) fn of_request(request: &HttpRequest) -> Self {
        ModelGateway {
            request: request.clone(),
            response_body: Mutex::new(None),
        }
    }

    pub(super) fn of_response(request: &HttpRequest, upstream: &UpstreamResponse) -> Self {
        let body =
            gateway_model::response_phase::Answers::new(request, upstream).answer(&Asked::RespBody);
        ModelGateway {
            request: request.clone(),
            response_body: Mutex::new(body),
        }
    }

    fn answer(&self, question: &Question<'_>) -> Answer {
        let asked = match question {
            Question::Variable(name) => Asked::Var(name.to_vec()),
            Question::RequestBody => Asked::ReqBody,
            Question::ResponseBody => {
                let body = self.response_body.lock();
                return body
                    .unwrap_or_else(PoisonError::into_inner)
                    .take()
                    .map(Into::into);
            }
        };
        request_phase::answer(&self.request, &asked).map(Into::into)
    }
}

impl Gateway for ModelGateway {
    fn ask<'a>(
        &'a self,
        questions: &'a [Question<'a>],
    ) -> Pin<Box<dyn Future<Output = Result<Vec<Answer>, GatewayError>> + Send + 'a>> {
        let answers = questions.iter().map(|question| self.answer(question));
        let answers: Vec<Answer> = answers.collect();
        Box::pin(std::future::ready(Ok(answers)))
    }
}

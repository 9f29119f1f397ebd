//! `apisix:filter/variables`: gateway variables, in either phase.

use super::text;
use crate::bindings::apisix::filter::types::Error;
use crate::bindings::apisix::filter::variables::Host;
use crate::call_state::CallState;
use crate::{Answer, Question, validate};

impl CallState {
    async fn variables(&mut self, function: &str, names: &[String]) -> Result<Vec<Answer>, Error> {
        self.in_a_call(function)?;
        validate::variable_names(names.len(), self.limits().questions)?;
        for name in names {
            validate::variable_name(name, self.limits().header)?;
        }
        let questions: Vec<Question<'_>> = names
            .iter()
            .map(|name| Question::Variable(name.as_bytes()))
            .collect();
        self.ask(&questions).await
    }
}

impl Host for CallState {
    async fn get(&mut self, name: String) -> Result<Option<String>, Error> {
        let answers = self.variables("variables.get", &[name]).await?;
        Ok(answers
            .into_iter()
            .next()
            .flatten()
            .map(|value| text(&value)))
    }

    async fn get_bytes(&mut self, name: String) -> Result<Option<Vec<u8>>, Error> {
        let answers = self.variables("variables.get-bytes", &[name]).await?;
        Ok(answers
            .into_iter()
            .next()
            .flatten()
            .map(|value| value.to_vec()))
    }

    async fn get_many(&mut self, names: Vec<String>) -> Result<Vec<Option<String>>, Error> {
        let answers = self.variables("variables.get-many", &names).await?;
        Ok(answers
            .into_iter()
            .map(|answer| answer.map(|value| text(&value)))
            .collect())
    }

    async fn get_many_bytes(&mut self, names: Vec<String>) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let answers = self.variables("variables.get-many-bytes", &names).await?;
        Ok(answers
            .into_iter()
            .map(|answer| answer.map(|value| value.to_vec()))
            .collect())
    }
}

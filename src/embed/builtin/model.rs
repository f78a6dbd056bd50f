//! The model file, run by rten on one thread.

use std::sync::Arc;

use rten::{ModelOptions, RunOptions, ThreadPool, Value};

use crate::embed::EmbedError;

/// The model, as one thread runs it: a copy shares the weights and has a thread of its own to
/// compute on, so that no run waits for another's.
pub(super) struct Model {
    model: Arc<rten::Model>,
    pool: Arc<ThreadPool>,
}

impl Model {
    /// Loads a model from the bytes of an ONNX file.
    pub(super) fn load(bytes: &'static [u8]) -> Result<Self, EmbedError> {
        let model = ModelOptions::with_all_ops().prepack_weights(true).load_static_slice(bytes);
        let model = model.map_err(|error| EmbedError::Model { why: error.to_string() })?;
        Ok(Self::over(Arc::new(model)))
    }

    /// A copy for another thread.
    pub(super) fn copy(&self) -> Self {
        Self::over(self.model.clone())
    }

    fn over(model: Arc<rten::Model>) -> Self {
        Self { model, pool: Arc::new(ThreadPool::with_num_threads(1)) }
    }

    /// The mean of the last layer over the tokens of one text; at least one token.
    pub(super) fn mean(&self, ids: &[i32]) -> Result<Vec<f32>, EmbedError> {
        let failed = |why: String| EmbedError::Failed { why };
        let input = Value::from_shape([ids.len()], ids.to_vec());
        let input = input.map_err(|error| failed(error.to_string()))?;
        let options = RunOptions::default().with_thread_pool(Some(self.pool.clone()));
        let mean = self.model.run_one(input.into(), Some(options));
        let mean = mean.map_err(|error| failed(error.to_string()))?;
        let (_, numbers) =
            mean.into_shape_vec::<f32, 1>().map_err(|error| failed(error.to_string()))?;
        Ok(numbers)
    }
}

package app.sweep.model

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import java.nio.FloatBuffer

/** What the model says of a row: a label with the probabilities of all classes, or a value. */
class Prediction(val label: String?, val probabilities: FloatArray, val value: Float)

/** The model: `model.ort`, run by onnxruntime on this phone. */
class Model(content: ByteArray, private val signature: Signature) : AutoCloseable {
    private val environment = OrtEnvironment.getEnvironment()
    private val session: OrtSession = environment.createSession(content, OrtSession.SessionOptions())

    /**
     * Predict one row.
     *
     * @param row for each input that is read a Float (NaN: missing), a String ("": missing), or an image as a
     *     FloatArray of (channels, height, width) in [0, 1]
     */
    fun predict(row: Map<String, Any>): Prediction {
        val feeds = LinkedHashMap<String, OnnxTensor>()
        try {
            for (input in signature.inputs) {
                if (input.used) feeds[input.name] = tensor(input, row.getValue(input.name))
            }
            session.run(feeds).use { found ->
                if (signature.classes.isEmpty()) {
                    val values = found.get(VALUE).get().value as Array<*>
                    return Prediction(null, FloatArray(0), (values[0] as FloatArray)[0])
                }
                val labels = found.get(LABEL).get().value as Array<*>
                val probabilities = found.get(PROBABILITIES).get().value as Array<*>
                return Prediction(labels[0] as String, probabilities[0] as FloatArray, Float.NaN)
            }
        } finally {
            feeds.values.forEach { it.close() }
        }
    }

    override fun close() = session.close()

    private fun tensor(input: Input, value: Any): OnnxTensor = when (value) {
        is String -> OnnxTensor.createTensor(environment, arrayOf(value), longArrayOf(1, 1))
        is Float -> OnnxTensor.createTensor(environment, FloatBuffer.wrap(floatArrayOf(value)), longArrayOf(1, 1))
        else -> {
            val shape = longArrayOf(1) + input.shape.map { it.toLong() }.toLongArray()
            OnnxTensor.createTensor(environment, FloatBuffer.wrap(value as FloatArray), shape)
        }
    }

    private companion object {
        const val LABEL = "prediction.label"
        const val PROBABILITIES = "prediction.probabilities"
        const val VALUE = "prediction.value"
    }
}

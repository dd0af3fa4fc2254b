package app.sweep.model

import org.json.JSONArray
import org.json.JSONObject

/** What a model takes and gives, as `signature.json` has it. */
class Signature(text: String) {
    private val values = JSONObject(text)
    val target: String = values.optString("target")
    val inputs: List<Input> = values.getJSONArray("inputs").objects().map { Input(it) }
    val classes: List<String> = values.getJSONArray("classes").texts()
}

/** One column, or the image. */
class Input(values: JSONObject) {
    val name: String = values.getString("name")
    val kind: String = values.getString("kind")
    val example: String = if (values.isNull("example")) "" else values.get("example").toString()
    val low: Double? = if (values.isNull("low")) null else values.getDouble("low")
    val high: Double? = if (values.isNull("high")) null else values.getDouble("high")
    val levels: List<String> = values.getJSONArray("levels").texts()
    val used: Boolean = values.getBoolean("used")
    val whole: Boolean = values.getBoolean("whole")

    /** Of an image: channels, height, width. */
    val shape: List<Int> = values.getJSONArray("shape").let { sides -> (0 until sides.length()).map { sides.getInt(it) } }
}

private fun JSONArray.objects(): List<JSONObject> = (0 until length()).map { getJSONObject(it) }

private fun JSONArray.texts(): List<String> = (0 until length()).map { getString(it) }

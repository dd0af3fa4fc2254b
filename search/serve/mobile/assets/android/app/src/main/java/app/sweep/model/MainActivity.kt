package app.sweep.model

import ai.onnxruntime.OrtException
import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.media.ExifInterface
import android.os.Bundle
import android.provider.MediaStore
import android.text.InputType
import android.view.View
import android.view.ViewGroup.LayoutParams.MATCH_PARENT
import android.view.ViewGroup.LayoutParams.WRAP_CONTENT
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.CheckBox
import android.widget.EditText
import android.widget.ImageView
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.Spinner
import android.widget.TextView
import java.io.IOException
import java.math.BigDecimal
import java.math.MathContext

/** The one screen: asks for a row or a picture, and shows what the model says of it. */
class MainActivity : Activity() {
    private lateinit var signature: Signature
    private lateinit var model: Model
    private lateinit var page: LinearLayout
    private lateinit var result: TextView
    private val readers = LinkedHashMap<String, () -> Any>()
    private var picture: Bitmap? = null
    private var preview: ImageView? = null
    private var swap: CheckBox? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        try {
            signature = Signature(asset("signature.json").decodeToString())
            model = Model(asset("model.ort"), signature)
        } catch (problem: Exception) {
            setContentView(TextView(this).apply { text = getString(R.string.no_model, problem.message) })
            return
        }
        page = LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            setPadding(dp(16), dp(16), dp(16), dp(32))
        }
        for (input in signature.inputs.filter { it.used }) {
            when (input.kind) {
                "image" -> askPicture(input)
                "text" -> askText(input)
                else -> askNumber(input)
            }
        }
        add(button(R.string.predict) { predict() })
        result = TextView(this).apply {
            textSize = 20f
            accessibilityLiveRegion = View.ACCESSIBILITY_LIVE_REGION_POLITE
        }
        add(result)
        add(TextView(this).apply { setText(R.string.about) })
        setContentView(ScrollView(this).apply { addView(page) })
    }

    override fun onDestroy() {
        if (::model.isInitialized) model.close()
        super.onDestroy()
    }

    private fun askNumber(input: Input) {
        val signed = if ((input.low ?: -1.0) < 0) InputType.TYPE_NUMBER_FLAG_SIGNED else 0
        val field = EditText(this).apply {
            id = View.generateViewId()
            setText(input.example)
            hint = if (input.low == null || input.high == null) {
                getString(R.string.no_range)
            } else {
                getString(R.string.range, shown(input.low), shown(input.high))
            }
            inputType = InputType.TYPE_CLASS_NUMBER or InputType.TYPE_NUMBER_FLAG_DECIMAL or signed
        }
        label(input.name, field)
        add(field)
        add(TextView(this).apply { text = field.hint })
        readers[input.name] = {
            val typed = field.text.toString().trim()
            if (typed.isEmpty()) {
                Float.NaN
            } else {
                typed.toFloatOrNull()?.takeIf { it.isFinite() }
                    ?: throw IllegalArgumentException(getString(R.string.no_number, input.name, typed))
            }
        }
    }

    private fun askText(input: Input) {
        val choices = input.levels + getString(R.string.other) + getString(R.string.missing)
        val free = EditText(this).apply {
            visibility = View.GONE
            contentDescription = input.name
            inputType = InputType.TYPE_CLASS_TEXT
        }
        val spinner = Spinner(this).apply {
            id = View.generateViewId()
            adapter = ArrayAdapter(this@MainActivity, android.R.layout.simple_spinner_dropdown_item, choices)
            setSelection(input.levels.indexOf(input.example).coerceAtLeast(0))
            onItemSelectedListener = object : AdapterView.OnItemSelectedListener {
                override fun onItemSelected(parent: AdapterView<*>?, view: View?, position: Int, id: Long) {
                    free.visibility = if (position == input.levels.size) View.VISIBLE else View.GONE
                }

                override fun onNothingSelected(parent: AdapterView<*>?) = Unit
            }
        }
        label(input.name, spinner)
        add(spinner)
        add(free)
        readers[input.name] = {
            when (val position = spinner.selectedItemPosition) {
                input.levels.size -> free.text.toString()
                input.levels.size + 1 -> ""
                else -> input.levels[position]
            }
        }
    }

    private fun askPicture(input: Input) {
        // the camera's app answers with a small picture, which is more than most models read
        add(button(R.string.camera) { ask(Intent(MediaStore.ACTION_IMAGE_CAPTURE), CAMERA) })
        val files = Intent(Intent.ACTION_GET_CONTENT).setType("image/*").addCategory(Intent.CATEGORY_OPENABLE)
        add(button(R.string.file) { ask(files, FILE) })
        val seen = ImageView(this).apply { contentDescription = getString(R.string.preview) }
        page.addView(seen, LinearLayout.LayoutParams(dp(120), dp(120)))
        val box = CheckBox(this).apply {
            setText(R.string.swap)
            setOnCheckedChangeListener { _, _ -> if (picture != null) predict() }
        }
        add(box)
        preview = seen
        swap = box
        readers[input.name] = {
            val taken = picture ?: throw IllegalArgumentException(getString(R.string.no_picture))
            val pixels = Picture.scaled(taken, input.shape, box.isChecked)
            seen.setImageBitmap(Picture.shown(pixels, input.shape))
            pixels
        }
    }

    private fun ask(intent: Intent, code: Int) {
        try {
            @Suppress("DEPRECATION") // the other way needs a library of its own
            startActivityForResult(intent, code)
        } catch (_: ActivityNotFoundException) {
            result.setText(R.string.no_camera)
        }
    }

    @Deprecated("The other way needs a library of its own")
    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        @Suppress("DEPRECATION")
        super.onActivityResult(requestCode, resultCode, data)
        if (resultCode != RESULT_OK || data == null) return
        @Suppress("DEPRECATION")
        val found = if (requestCode == CAMERA) data.extras?.get("data") as? Bitmap else opened(data)
        picture = found // nothing, where it cannot be read: an old picture's answer would stand for it
        if (found == null) {
            result.setText(R.string.bad_picture)
            return
        }
        predict()
    }

    private fun opened(data: Intent): Bitmap? = try {
        read(data)
    } catch (_: IOException) {
        null
    } catch (_: SecurityException) {
        null
    }

    private fun read(data: Intent): Bitmap? {
        val place = data.data ?: return null
        val bounds = BitmapFactory.Options().apply { inJustDecodeBounds = true }
        contentResolver.openInputStream(place)?.use { BitmapFactory.decodeStream(it, null, bounds) }
        // a photograph has more pixels than the model reads, and than memory holds
        val most = maxOf(bounds.outWidth, bounds.outHeight)
        val options = BitmapFactory.Options().apply { inSampleSize = maxOf(1, Integer.highestOneBit(maxOf(1, most / LONGEST))) }
        val found = contentResolver.openInputStream(place)?.use { BitmapFactory.decodeStream(it, null, options) }
        if (bounds.outMimeType == "image/png") return found // training takes these as they lie
        val held = contentResolver.openInputStream(place)?.use {
            ExifInterface(it).getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
        }
        return if (found == null || held == null) found else Picture.upright(found, held)
    }

    private fun predict() {
        result.text = try {
            told(model.predict(readers.mapValues { (_, read) -> read() }))
        } catch (problem: IllegalArgumentException) {
            problem.message
        } catch (problem: OrtException) {
            problem.message
        }
    }

    private fun told(found: Prediction): String {
        val label = found.label ?: return "${signature.target} ${shown(found.value.toDouble())}".trim()
        val likeliest = found.probabilities.indices.sortedByDescending { found.probabilities[it] }.take(SHOWN)
        val lines = likeliest.map { "${signature.classes[it]}  ${"%.1f".format(100 * found.probabilities[it])} %" }
        return (listOf("${signature.target} $label".trim()) + lines).joinToString("\n")
    }

    private fun label(name: String, field: View) = add(TextView(this).apply {
        text = name
        textSize = 16f
        labelFor = field.id
    })

    private fun button(text: Int, action: () -> Unit) = Button(this).apply {
        setText(text)
        setOnClickListener { action() }
    }

    private fun add(view: View) = page.addView(view, LinearLayout.LayoutParams(MATCH_PARENT, WRAP_CONTENT))

    private fun asset(name: String): ByteArray = assets.open(name).use { it.readBytes() }

    private fun shown(value: Double): String =
        if (value.isFinite()) BigDecimal(value).round(MathContext(6)).stripTrailingZeros().toPlainString() else "$value"

    private fun dp(size: Int): Int = (size * resources.displayMetrics.density).toInt()

    private companion object {
        const val CAMERA = 1
        const val FILE = 2
        const val LONGEST = 1024
        const val SHOWN = 8
    }
}

package app.sweep.model

import android.graphics.Bitmap
import android.graphics.Color
import android.graphics.Matrix
import android.media.ExifInterface
import kotlin.math.ceil
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/** Pixels of a picture as the model reads them, and back. */
object Picture {
    /**
     * Return (channels, height, width) in [0, 1]: the middle of the picture in the model's proportions, each pixel the
     * mean of the area it stands for.
     */
    fun scaled(picture: Bitmap, shape: List<Int>, inverted: Boolean): FloatArray {
        val (channels, height, width) = shape
        val factor = min(picture.width.toDouble() / width, picture.height.toDouble() / height)
        val left = (picture.width - width * factor) / 2
        val top = (picture.height - height * factor) / 2
        val made = FloatArray(channels * height * width)
        val line = IntArray(picture.width)
        for (y in 0 until height) {
            val sums = Array(width) { DoubleArray(4) }
            for ((row, high) in shares(top + y * factor, factor, picture.height)) {
                picture.getPixels(line, 0, picture.width, 0, row, picture.width, 1)
                for (x in 0 until width) {
                    for ((column, wide) in shares(left + x * factor, factor, picture.width)) {
                        val pixel = line[column]
                        val share = high * wide / 255
                        sums[x][0] += Color.red(pixel) * share
                        sums[x][1] += Color.green(pixel) * share
                        sums[x][2] += Color.blue(pixel) * share
                        sums[x][3] += Color.alpha(pixel) * share
                    }
                }
            }
            for (x in 0 until width) {
                // the weights of a grey are those of ITU-R BT.601
                val grey = 0.299 * sums[x][0] + 0.587 * sums[x][1] + 0.114 * sums[x][2]
                for (channel in 0 until channels) {
                    val shade = min(1.0, if (channels == 1) grey else sums[x][channel])
                    val shown = if (inverted && channel < 3) 1 - shade else shade
                    made[(channel * height + y) * width + x] = shown.toFloat()
                }
            }
        }
        return made
    }

    /** Return a photograph the right way up: how the camera was held is written beside its pixels (EXIF). */
    fun upright(picture: Bitmap, held: Int): Bitmap {
        val turns = when (held) {
            ExifInterface.ORIENTATION_ROTATE_90, ExifInterface.ORIENTATION_TRANSPOSE -> 90f
            ExifInterface.ORIENTATION_ROTATE_180, ExifInterface.ORIENTATION_FLIP_VERTICAL -> 180f
            ExifInterface.ORIENTATION_ROTATE_270, ExifInterface.ORIENTATION_TRANSVERSE -> 270f
            else -> 0f
        }
        val mirrored = held == ExifInterface.ORIENTATION_FLIP_HORIZONTAL || held == ExifInterface.ORIENTATION_TRANSPOSE ||
            held == ExifInterface.ORIENTATION_FLIP_VERTICAL || held == ExifInterface.ORIENTATION_TRANSVERSE
        val turn = Matrix().apply {
            setRotate(turns)
            if (mirrored) postScale(-1f, 1f)
        }
        return Bitmap.createBitmap(picture, 0, 0, picture.width, picture.height, turn, true)
    }

    /** Return what the model sees. */
    fun shown(pixels: FloatArray, shape: List<Int>): Bitmap {
        val (channels, height, width) = shape
        val area = height * width
        val colours = IntArray(area) { at ->
            val (red, green, blue) = (0..2).map { (255 * pixels[(if (channels >= 3) it else 0) * area + at]).toInt() }
            Color.rgb(red, green, blue)
        }
        return Bitmap.createBitmap(colours, width, height, Bitmap.Config.ARGB_8888)
    }

    /** Return the source pixels under a target pixel, and their shares. */
    private fun shares(from: Double, factor: Double, most: Int): List<Pair<Int, Double>> {
        val to = from + factor
        val first = max(0, floor(from + 1e-9).toInt())
        val last = min(most, ceil(to - 1e-9).toInt())
        return (first until last).map { it to (min(to, it + 1.0) - max(from, it.toDouble())) / factor }
    }
}

import UIKit

/// A picture's pixels: red, green, blue and alpha of each, in [0, 255].
struct Picture {
    let width: Int
    let height: Int
    private let pixels: [UInt8]

    /// Read a picture, no larger than need be; nil where it has no pixels.
    init?(_ image: UIImage) {
        let longest = max(image.size.width, image.size.height)
        guard longest > 0 else { return nil }
        let factor = min(1, 1024 / longest)
        let (wide, high) = (max(1, Int(image.size.width * factor)), max(1, Int(image.size.height * factor)))
        var read = [UInt8](repeating: 0, count: wide * high * 4)
        let drawn = read.withUnsafeMutableBytes { place -> Bool in
            guard
                let canvas = CGContext(
                    data: place.baseAddress, width: wide, height: high, bitsPerComponent: 8, bytesPerRow: wide * 4,
                    space: CGColorSpace(name: CGColorSpace.sRGB)!,
                    bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
            else { return false }
            // UIKit draws downwards, and turns photographs the right way up
            canvas.translateBy(x: 0, y: CGFloat(high))
            canvas.scaleBy(x: 1, y: -1)
            UIGraphicsPushContext(canvas)
            image.draw(in: CGRect(x: 0, y: 0, width: wide, height: high))
            UIGraphicsPopContext()
            return true
        }
        guard drawn else { return nil }
        (width, height, pixels) = (wide, high, read)
    }

    /// Return (channels, height, width) in [0, 1]: the middle of the picture in the model's proportions, each pixel the
    /// mean of the area it stands for.
    func scaled(_ shape: [Int], inverted: Bool) -> [Float] {
        let (channels, down, across) = (shape[0], shape[1], shape[2])
        let factor = min(Double(width) / Double(across), Double(height) / Double(down))
        let left = (Double(width) - Double(across) * factor) / 2
        let top = (Double(height) - Double(down) * factor) / 2
        let columns = (0..<across).map { shares(left + Double($0) * factor, factor, width) }
        var made = [Float](repeating: 0, count: channels * down * across)
        for y in 0..<down {
            let rows = shares(top + Double(y) * factor, factor, height)
            for x in 0..<across {
                var sums = [0.0, 0.0, 0.0, 0.0]
                for (row, high) in rows {
                    for (column, wide) in columns[x] {
                        let at = (row * width + column) * 4
                        for channel in 0..<4 {
                            sums[channel] += Double(pixels[at + channel]) * high * wide / 255
                        }
                    }
                }
                // the weights of a grey are those of ITU-R BT.601
                let grey = 0.299 * sums[0] + 0.587 * sums[1] + 0.114 * sums[2]
                for channel in 0..<channels {
                    let shade = min(1, channels == 1 ? grey : sums[channel])
                    made[(channel * down + y) * across + x] = Float(inverted && channel < 3 ? 1 - shade : shade)
                }
            }
        }
        return made
    }

    /// Return the source pixels under a target pixel, and their shares.
    private func shares(_ from: Double, _ factor: Double, _ most: Int) -> [(Int, Double)] {
        let to = from + factor
        let first = max(0, Int(floor(from + 1e-9)))
        let last = min(most, Int(ceil(to - 1e-9)))
        return (first..<max(first, last)).map { pixel in
            (pixel, (min(to, Double(pixel) + 1) - max(from, Double(pixel))) / factor)
        }
    }
}
